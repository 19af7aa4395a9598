#include "graft/models/file_facts.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/json.h"
#include "graft/models/labels.h"
#include "graft/models/preprocess_guess.h"

namespace graft::models {
namespace {

using nlohmann::json;

constexpr int64_t kMostBytes = int64_t{16} << 20;

struct Facts {
  std::vector<std::string> labels;
  std::string labels_from;
  std::optional<io::Preprocess> preprocess;
  std::string preprocess_from;
};

std::optional<json> read_json(const std::string& folder, const char* name,
                              std::vector<std::string>& notes) {
  const std::string path = join_path(folder, name);
  if (!file_system().exists(path) || file_system().is_directory(path)) return std::nullopt;
  try {
    const std::string text = read_text_file(path, kMostBytes);
    io::check_json(text, name);
    json j = json::parse(text);
    if (j.is_object()) return j;
    notes.push_back(str(name, " beside the file is not used: it is no JSON object"));
  } catch (const json::exception& error) {
    notes.push_back(str(name, " beside the file is not used: ", error.what()));
  } catch (const Error& error) {
    notes.push_back(str(name, " beside the file is not used: ", error.what()));
  }
  return std::nullopt;
}

// The member where there is one that is not null.
const json* member(const json& j, const char* key) {
  const auto found = j.find(key);
  return found == j.end() || found->is_null() ? nullptr : &*found;
}

void take_labels(const std::string& text, const std::string& from, Facts& facts) {
  if (!facts.labels.empty()) return;
  facts.labels = labels_from_text(text);
  facts.labels_from = from;
}

std::vector<double> numbers(const json& j, const char* key, std::vector<double> otherwise) {
  const json* list = member(j, key);
  return list ? list->get<std::vector<double>>() : otherwise;
}

io::Interpolation interpolation_of(const json& j, const char* key) {
  const json* value = member(j, key);
  const bool bicubic =
      value && (value->is_number() ? value->get<double>() == 3 : *value == "bicubic");
  return bicubic ? io::Interpolation::bicubic : io::Interpolation::bilinear;
}

int64_t pixels(const json& number) {
  GRAFT_CHECK(number.is_number_integer() && number > 0 && number <= 8192, "an image size of ",
              number.dump().substr(0, 40));
  return number.get<int64_t>();
}

// Height and width.
std::array<int64_t, 2> sides_of(const json& size) {
  const json* edge = size.is_object() ? member(size, "shortest_edge") : &size;
  if (edge) return {pixels(*edge), pixels(*edge)};
  return {pixels(size.at("height")), pixels(size.at("width"))};
}

int64_t side_of(const json& size) {
  const auto [height, width] = sides_of(size);
  GRAFT_CHECK(height == width, "a crop around images of ", height, "x", width);
  return height;
}

void take_sides(const std::array<int64_t, 2>& sides, io::Preprocess& p) {
  p.size = sides[0];
  p.width = sides[1] == sides[0] ? 0 : sides[1];
}

// Hugging Face's image processors.
io::Preprocess from_processor(const json& j) {
  io::Preprocess p = io::imagenet_preprocess(224);
  p.interpolation = interpolation_of(j, "resample");
  const auto flag = [&](const char* key, bool otherwise) {
    const json* value = member(j, key);
    return value ? value->get<bool>() : otherwise;
  };
  const json *factor = member(j, "rescale_factor"), *size = member(j, "size"),
             *crop = member(j, "crop_size"), *share = member(j, "crop_pct");
  p.scale = !flag("do_rescale", true) ? 1 : factor ? factor->get<double>() : 1.0 / 255;
  p.mean = numbers(j, "image_mean", p.mean);
  p.deviation = numbers(j, "image_std", p.deviation);
  if (!flag("do_normalize", true)) p.mean.assign(3, 0), p.deviation.assign(3, 1);
  p.bgr = flag("do_flip_channel_order", false);
  if (size) {
    take_sides(sides_of(*size), p);
    const bool edge = size->is_object() && member(*size, "shortest_edge");
    const json *kind = member(j, "image_processor_type"),
               *old = member(j, "feature_extractor_type");
    const std::string type = kind ? kind->get<std::string>() : old ? old->get<std::string>() : "";
    const bool shares = share || type.starts_with("ConvNext");
    if (crop && flag("do_center_crop", true)) {
      p.resize_to = side_of(*size);
      p.size = side_of(*crop);
      p.width = 0;
    } else if (shares) {
      const double part = share ? share->get<double>() : 0.875;
      GRAFT_CHECK(part > 0.1 && part <= 1, "crop_pct ", part);
      const int64_t side = p.short_side();
      p.resize_to = side < 384 ? std::llround(std::floor(static_cast<double>(side) / part)) : 0;
    } else {
      p.resize_to = edge ? p.size : 0;
    }
  }
  p.validate();
  return p;
}

io::Preprocess from_timm(const json& j) {
  io::Preprocess p = io::imagenet_preprocess(224);
  p.mean = numbers(j, "mean", p.mean);
  p.deviation = numbers(j, "std", p.deviation);
  p.interpolation = interpolation_of(j, "interpolation");
  if (const json* size = member(j, "input_size")) {
    GRAFT_CHECK(size->is_array() && size->size() == 3, "an input_size of ",
                size->dump().substr(0, 40));
    take_sides({pixels((*size)[1]), pixels((*size)[2])}, p);
  }
  const json* share = member(j, "crop_pct");
  const double part = share ? share->get<double>() : 0.875;
  GRAFT_CHECK(part > 0.1 && part <= 1, "crop_pct ", part);
  p.resize_to = std::llround(std::floor(static_cast<double>(p.short_side()) / part));
  p.validate();
  return p;
}

void read_config(const json& j, Facts& facts) {
  if (const json* names = member(j, "id2label"))
    take_labels(names->dump(), "config.json (id2label) beside the file", facts);
  if (const json* names = member(j, "label_names"))
    take_labels(names->dump(), "config.json (label_names) beside the file", facts);
  if (const json* timm = member(j, "pretrained_cfg")) {
    facts.preprocess = from_timm(*timm);
    facts.preprocess_from = "config.json (pretrained_cfg) beside the file";
    if (const json* names = member(*timm, "label_names"))
      take_labels(names->dump(), "config.json (label_names) beside the file", facts);
  }
}

void read_beside(const std::string& folder, Facts& facts, std::vector<std::string>& notes) {
  const auto guarded = [&](const char* name, const auto& use) {
    const std::optional<json> j = read_json(folder, name, notes);
    if (!j) return;
    try {
      use(*j);
    } catch (const json::exception& error) {
      notes.push_back(str(name, " beside the file is not used: ", error.what()));
    } catch (const Error& error) {
      notes.push_back(str(name, " beside the file is not used: ", error.what()));
    }
  };
  guarded("config.json", [&](const json& j) {
    if (member(j, "architectures") || member(j, "model_type") || member(j, "architecture") ||
        member(j, "pretrained_cfg"))
      read_config(j, facts);
  });
  guarded("preprocessor_config.json", [&](const json& j) {
    if (!member(j, "image_mean") && !member(j, "size") && !member(j, "do_normalize")) return;
    facts.preprocess = from_processor(j);
    facts.preprocess_from = "preprocessor_config.json beside the file";
  });
}

}  // namespace

void use_file_facts(const io::WeightFile& file, Imported& imported) {
  ModelCard& card = imported.model.card;
  Certificate& certificate = imported.certificate;
  Facts facts;
  for (const char* key : {"names", "labels", "class_names", "classes", "id2label"})
    if (const auto found = file.metadata.find(key); found != file.metadata.end())
      take_labels(found->second, str("the file's metadata '", key, "'"), facts);
  read_beside(parent_path(file.path), facts, certificate.notes);
  const int64_t classes = classes_of(card.architecture);
  if (!facts.labels.empty() && card.labels.empty() && classes > 0) {
    const bool fits = std::ssize(facts.labels) == classes;
    if (fits) card.labels = facts.labels;
    certificate.notes.push_back(fits ? str("class names from ", facts.labels_from)
                                     : str(facts.labels_from, " names ", facts.labels.size(),
                                           " classes, the network has ", classes, ": not used"));
  }
  if (facts.preprocess && !certificate.preprocess.known) {
    card.preprocess =
        card.preprocess.channels == 1 ? grey_preprocess(*facts.preprocess) : *facts.preprocess;
    certificate.preprocess = {text_of(card.preprocess), true, facts.preprocess_from};
  }
}

}  // namespace graft::models
