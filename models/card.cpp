#include "graft/models/card.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/io/json.h"

namespace graft::models {
namespace {

constexpr int64_t kCardVersion = 1;

nlohmann::json json_of(const Lineage& lineage) {
  nlohmann::json j = {{"graft_version", lineage.graft_version},
                      {"source_format", lineage.source_format},
                      {"source_naming", lineage.source_naming},
                      {"source_sha256", lineage.source_sha256},
                      {"data_sha256", lineage.data_sha256}};
  j["recipe"] = lineage.recipe.empty() ? nlohmann::json() : nlohmann::json::parse(lineage.recipe);
  return j;
}

Lineage lineage_from(const nlohmann::json& j) {
  Lineage lineage;
  lineage.graft_version = j.at("graft_version").get<std::string>();
  lineage.source_format = j.at("source_format").get<std::string>();
  lineage.source_naming = j.at("source_naming").get<std::string>();
  lineage.source_sha256 = j.at("source_sha256").get<std::string>();
  lineage.data_sha256 = j.at("data_sha256").get<std::string>();
  if (!j.at("recipe").is_null()) lineage.recipe = j.at("recipe").dump();
  return lineage;
}

nlohmann::json json_of(const Calibration& calibration) {
  nlohmann::json ranges = nlohmann::json::array();
  for (const Calibration::Range& r : calibration.ranges) ranges.push_back({r.value, r.low, r.high});
  return {{"images", calibration.images}, {"ranges", ranges}};
}

Calibration calibration_from(const nlohmann::json& j) {
  Calibration calibration;
  calibration.images = io::json_integer(j, "images", "the model card's int8 ranges");
  for (const nlohmann::json& r : j.at("ranges")) {
    GRAFT_CHECK(r.is_array() && r.size() == 3 && r[0].is_number_integer() && r[1].is_number() &&
                    r[2].is_number(),
                "the model card's int8 ranges are not [value, low, high]");
    const auto value = r[0].get<int64_t>();
    const auto low = r[1].get<double>(), high = r[2].get<double>();
    const bool ascending = calibration.ranges.empty() || value > calibration.ranges.back().value;
    GRAFT_CHECK(value >= 0 && value < (int64_t{1} << 30) && ascending && low <= high &&
                    std::abs(low) < 1e30 && std::abs(high) < 1e30,
                "the model card's int8 range of value ", value, " is none: ", low, " to ", high);
    calibration.ranges.push_back(
        {static_cast<int>(value), static_cast<float>(low), static_cast<float>(high)});
  }
  return calibration;
}

}  // namespace

std::string ModelCard::to_json() const {
  nlohmann::json j = nlohmann::json::object();  // nlohmann::json sorts its keys
  j["card_version"] = kCardVersion;
  j["architecture"] = nlohmann::json::parse(models::to_json(architecture));
  j["preprocess"] = nlohmann::json::parse(preprocess.to_json());
  j["preprocess_known"] = preprocess_known;
  j["labels"] = labels;
  j["neutral_norms"] = neutral_norms;
  j["lineage"] = json_of(lineage);
  if (activation == Activation::sigmoid)
    j["activation"] = "sigmoid";  // softmax goes without saying
  if (!task.empty()) j["task"] = nlohmann::json::parse(task);
  if (!int8.empty()) j["int8"] = json_of(int8);
  if (!description.empty()) j["description"] = nlohmann::json::parse(description.to_json());
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ModelCard ModelCard::from_json(const std::string& text) {
  io::check_json(text, "the model card");
  try {
    const auto j = nlohmann::json::parse(text);
    const auto version = io::json_integer(j, "card_version", "the model card");
    GRAFT_CHECK(version == kCardVersion, "the model card is of version ", version,
                "; this graft reads version ", kCardVersion);
    ModelCard card;
    card.architecture = architecture_from_json(j.at("architecture").dump());
    card.preprocess = io::Preprocess::from_json(j.at("preprocess").dump());
    card.preprocess_known = j.at("preprocess_known").get<bool>();
    card.labels = j.at("labels").get<std::vector<std::string>>();
    card.neutral_norms = j.at("neutral_norms").get<std::vector<std::string>>();
    card.lineage = lineage_from(j.at("lineage"));
    if (j.contains("activation")) {
      const auto name = j.at("activation").get<std::string>();
      GRAFT_CHECK(name == "softmax" || name == "sigmoid", "the model card's activation is '", name,
                  "'; this graft knows softmax and sigmoid");
      if (name == "sigmoid") card.activation = Activation::sigmoid;
    }
    if (j.contains("task")) {
      const nlohmann::json& task = j.at("task");
      GRAFT_CHECK(task.is_object() && task.contains("name") && task.at("name").is_string(),
                  "the model card's task has no name");
      card.task = task.dump();
    }
    if (j.contains("int8")) card.int8 = calibration_from(j.at("int8"));
    if (j.contains("description"))
      card.description =
          Description::from_json(j.at("description").dump(), "the model card's description");
    const int64_t classes = classes_of(card.architecture);
    GRAFT_CHECK(card.labels.empty() || std::ssize(card.labels) == classes, "the model card names ",
                card.labels.size(), " labels for ", classes, " classes");
    GRAFT_CHECK(card.preprocess.channels == in_channels_of(card.architecture),
                "the model card's preprocessing gives ", card.preprocess.channels,
                " channels to a network of ", in_channels_of(card.architecture));
    return card;
  } catch (const nlohmann::json::exception& error) {
    bad_input("the model card cannot be read: ", error.what());
  }
}

}  // namespace graft::models
