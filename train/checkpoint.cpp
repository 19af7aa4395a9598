#include "graft/train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "graft/io/json.h"
#include "graft/io/weights/weights.h"

namespace graft::train {
namespace {

constexpr const char* kKey = "graft.checkpoint";

void add_all(StateDict& to, const std::string& prefix, const StateDict& from) {
  for (const auto& [name, tensor] : from) to.add(prefix + name, tensor);
}

nlohmann::json metrics_json(const EpochMetrics& m) { return nlohmann::json::parse(m.to_json()); }

EpochMetrics metrics_from(const nlohmann::json& j, const std::string& what) {
  return {io::json_integer(j, "epoch", what),
          j.at("loss").get<double>(),
          j.at("train_accuracy").get<double>(),
          j.at("val_accuracy").get<double>(),
          j.value("val_loss", std::numeric_limits<double>::quiet_NaN()),
          j.value("val_macro_f1", std::numeric_limits<double>::quiet_NaN()),
          j.at("lr").get<double>(),
          j.at("images_per_s").get<double>(),
          j.at("seconds").get<double>()};
}

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& c) {
  StateDict tensors;
  add_all(tensors, "model/", c.model);
  add_all(tensors, "best/", c.best);
  add_all(tensors, "optim/", c.optimizer);
  nlohmann::json j = {{"version", 1},
                      {"recipe", c.recipe},
                      {"identity", c.identity},
                      {"instruction_set", c.instruction_set},
                      {"epoch", c.epoch},
                      {"best_epoch", c.best_epoch},
                      {"best_accuracy", c.best_accuracy}};
  j["history"] = nlohmann::json::array();
  for (const EpochMetrics& metrics : c.history) j["history"].push_back(metrics_json(metrics));
  io::write_safetensors(path, tensors, {{"format", "pt"}, {kKey, j.dump()}});
}

Checkpoint load_checkpoint(const std::string& path) {
  const io::WeightFile file = io::read_weights(path);
  const auto found = file.metadata.find(kKey);
  GRAFT_CHECK(found != file.metadata.end(), path, ": not a checkpoint of graft");
  const std::string what = path + ": the checkpoint's description";
  io::check_json_depth(found->second, what);
  try {
    const auto j = nlohmann::json::parse(found->second);
    const int64_t version = io::json_integer(j, "version", what);
    GRAFT_CHECK(version == 1, path, ": a checkpoint of version ", version, ", this graft reads 1");
    Checkpoint c;
    c.model = file.tensors.with_prefix_removed("model/");
    c.best = file.tensors.with_prefix_removed("best/");
    c.optimizer = file.tensors.with_prefix_removed("optim/");
    c.recipe = j.at("recipe").get<std::string>();
    c.identity = j.at("identity").get<std::string>();
    c.instruction_set = j.at("instruction_set").get<std::string>();
    c.epoch = io::json_integer(j, "epoch", what);
    c.best_epoch = io::json_integer(j, "best_epoch", what);
    c.best_accuracy = j.at("best_accuracy").get<double>();
    for (const auto& line : j.at("history")) c.history.push_back(metrics_from(line, what));
    return c;
  } catch (const nlohmann::json::exception& error) {
    bad_input(path, ": the checkpoint's description is damaged: ", error.what());
  }
}

}  // namespace graft::train
