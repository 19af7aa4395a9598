#include "graft/train/checkpoint.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/base/printable.h"
#include "graft/io/json.h"
#include "graft/io/weights/weights.h"

namespace graft::train {
namespace {

constexpr const char* kKey = "graft.checkpoint";

void add_all(StateDict& to, const std::string& prefix, const StateDict& from) {
  for (const auto& [name, tensor] : from) to.add(prefix + name, tensor);
}

nlohmann::json metrics_json(const EpochMetrics& m) { return nlohmann::json::parse(m.to_json()); }

std::string best_key(const KeptScores& scores) { return "best_" + scores.validation[0].name; }

constexpr int64_t kMostEpochs = 1'000'000;  // Recipe::validate()

int64_t integer_in(const nlohmann::json& j, const char* name, int64_t least, int64_t most,
                   const std::string& what) {
  const int64_t value = io::json_integer(j, name, what);
  GRAFT_CHECK(value >= least && value <= most, what, ": the field '", name, "' is ", value,
              ", which is not between ", least, " and ", most);
  return value;
}

double number_in(const nlohmann::json& j, const char* name, double least, double most,
                 const std::string& what) {
  const double value = j.at(name).get<double>();
  GRAFT_CHECK(value >= least && value <= most, what, ": the field '", name, "' is ", value,
              ", which is not between ", least, " and ", most);
  return value;
}

// NaN where an older checkpoint lacks the field.
double optional_number(const nlohmann::json& j, const char* name, double least, double most,
                       const std::string& what) {
  const auto found = j.find(name);
  if (found == j.end() || found->is_null()) return std::numeric_limits<double>::quiet_NaN();
  return number_in(j, name, least, most, what);
}

// "" where there is none.
std::string phase_in(const nlohmann::json& j, const std::string& what) {
  if (!j.contains("phase")) return "";
  const std::string phase = j.at("phase").get<std::string>();
  GRAFT_CHECK(phase == kProbePhase || phase == kTunePhase, what, ": the phase '", printable(phase),
              "' is neither probe nor tune");
  return phase;
}

EpochMetrics metrics_from(const nlohmann::json& j, int64_t epoch, const KeptScores& scores,
                          const std::string& what) {
  constexpr double huge = std::numeric_limits<double>::max();
  const ScoreKind& watched = scores.running;
  EpochMetrics metrics;
  metrics.epoch = integer_in(j, "epoch", epoch, epoch, what);
  metrics.loss = number_in(j, "loss", -huge, huge, what);
  metrics.train = {watched.name, number_in(j, ("train_" + watched.name).c_str(), watched.lowest,
                                           watched.highest, what)};
  for (const ScoreKind& kind : scores.validation) {
    const std::string key = "val_" + kind.name;
    const bool chooses = metrics.val.empty();
    metrics.val.push_back({kind.name, (chooses ? number_in : optional_number)(
                                          j, key.c_str(), kind.lowest, kind.highest, what)});
  }
  metrics.lr = number_in(j, "lr", 0, huge, what);
  metrics.images_per_s = number_in(j, "images_per_s", 0, huge, what);
  metrics.seconds = number_in(j, "seconds", 0, huge, what);
  metrics.phase = phase_in(j, what);
  return metrics;
}

// Of a task that is not known: scores by their keys, the one called `first` before the others.
EpochMetrics recorded_metrics(const nlohmann::json& j, int64_t epoch, const std::string& first,
                              const std::string& what) {
  EpochMetrics metrics;
  metrics.epoch = integer_in(j, "epoch", epoch, epoch, what);
  metrics.loss = j.at("loss").get<double>();
  metrics.lr = j.at("lr").get<double>();
  metrics.images_per_s = j.at("images_per_s").get<double>();
  metrics.seconds = j.at("seconds").get<double>();
  metrics.phase = phase_in(j, what);
  for (const auto& [key, value] : j.items()) {
    if (!value.is_number()) continue;
    const Score score{key.substr(key.find('_') + 1), value.get<double>()};
    if (key.starts_with("train_")) metrics.train = score;
    if (key.starts_with("val_"))
      metrics.val.insert(score.name == first ? metrics.val.begin() : metrics.val.end(), score);
  }
  return metrics;
}

void add_worth(StateDict& to, const std::string& prefix, const SampleWorths& samples) {
  for (const auto& [name, values] :
       {std::pair("scores", &samples.scores), std::pair("losses", &samples.losses)})
    if (!values->empty())
      to.add(prefix + name, Tensor::of<float>(Shape{std::ssize(*values)}, *values));
}

std::vector<float> numbers_in(const Tensor& tensor, const std::string& what) {
  GRAFT_CHECK(tensor.rank() == 1 && tensor.dtype() == DType::f32, what,
              ": the samples' scores and losses are ", name_of(tensor.dtype()), " ", tensor.shape(),
              ", not a row of f32");
  const Tensor row = tensor.to(MemoryFormat::contiguous);
  return {row.data<float>(), row.data<float>() + row.numel()};
}

// One of the two epochs of EpochChoice. A checkpoint of before has none: it is the kept one.
EpochWorth worth_in(const nlohmann::json& j, const std::string& name, const Checkpoint& c,
                    const StateDict& tensors, const std::string& what) {
  EpochWorth worth{c.best_epoch, c.best_score, std::numeric_limits<double>::quiet_NaN(), {}};
  const std::string field = name + "_epoch", prefix = "choice/" + name + "/";
  if (j.contains(field)) {
    const int64_t least = c.phase == kTunePhase ? 0 : std::min<int64_t>(c.best_epoch, 1);
    worth.epoch = integer_in(j, field.c_str(), least, c.epoch, what);
    for (const auto& [of_samples, values] :
         {std::pair("scores", &worth.samples.scores), std::pair("losses", &worth.samples.losses)})
      if (const Tensor row = tensors.find(prefix + of_samples); row.defined())
        *values = numbers_in(row, what);
  }
  for (const EpochMetrics& metrics : c.history)
    if (metrics.epoch == worth.epoch) {
      worth.score = metrics.val.at(0).value;
      worth.loss = metrics.val_score("loss");
    }
  return worth;
}

void check_counts(const StateDict& tensors, const std::string& path) {
  for (const auto& [name, tensor] : tensors)
    if (name.ends_with("num_batches_tracked"))
      for (const double value : tensor.to_doubles())
        GRAFT_CHECK(value >= 0, path, ": tensor '", name, "' counts ", value);
}

// read(the checkpoint's fields, what they are called in messages).
template <class F>
auto with_description(const std::string& path, const io::WeightFile& file, F&& read) {
  const auto found = file.metadata.find(kKey);
  GRAFT_CHECK(found != file.metadata.end(), path, ": not a checkpoint of graft");
  const std::string what = path + ": the checkpoint's description";
  io::check_json(found->second, what);
  try {
    const auto j = nlohmann::json::parse(found->second);
    const int64_t version = io::json_integer(j, "version", what);
    GRAFT_CHECK(version == 1, path, ": a checkpoint of version ", version, ", this graft reads 1");
    return read(j, what);
  } catch (const nlohmann::json::exception& error) {
    bad_input(path, ": the checkpoint's description is damaged: ", error.what());
  }
}

// The phase that the run is in, and what it keeps of the one before.
void read_phase(const nlohmann::json& j, Checkpoint& c, const std::string& what) {
  c.phase = phase_in(j, what);
  const auto is_of_probe = [](const EpochMetrics& m) { return m.phase == kProbePhase; };
  const int64_t probed = std::count_if(c.history.begin(), c.history.end(), is_of_probe),
                plain = std::count_if(c.history.begin(), c.history.end(),
                                      [](const EpochMetrics&m) { return m.phase.empty(); });
  const bool fits = c.phase.empty()          ? plain == c.epoch
                    : c.phase == kProbePhase ? probed == c.epoch
                                             : plain == 0 && probed > 0;
  GRAFT_CHECK(fits && std::is_partitioned(c.history.begin(), c.history.end(), is_of_probe), what,
              ": its epochs are not those of its phase '", c.phase, "'");
  if (c.phase != kTunePhase) return;
  c.probe_epoch = integer_in(j, "probe_epoch", 1, probed, what);
  const bool has_tuned = io::json_integer(j, "tuned_epoch", what) != 0;
  c.tuned_epoch = has_tuned ? integer_in(j, "tuned_epoch", probed + 1, c.epoch, what) : 0;
}

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& c, const KeptScores& scores) {
  StateDict tensors;
  add_all(tensors, "model/", c.model);
  add_all(tensors, "best/", c.best);
  add_all(tensors, "optim/", c.optimizer);
  add_all(tensors, "ema/", c.average);
  add_all(tensors, "probe/", c.probe);
  add_worth(tensors, "choice/highest/", c.highest.samples);
  add_worth(tensors, "choice/lowest/", c.lowest.samples);
  nlohmann::json j = {{"version", 1},
                      {"recipe", c.recipe},
                      {"identity", c.identity},
                      {"instruction_set", c.instruction_set},
                      {"epoch", c.epoch},
                      {"best_epoch", c.best_epoch},
                      {"highest_epoch", c.highest.epoch},
                      {"lowest_epoch", c.lowest.epoch},
                      {best_key(scores), c.best_score}};
  if (!c.phase.empty()) j["phase"] = c.phase;
  if (c.phase == kTunePhase) {
    j["probe_epoch"] = c.probe_epoch;
    j["tuned_epoch"] = c.tuned_epoch;
  }
  j["history"] = nlohmann::json::array();
  for (const EpochMetrics& metrics : c.history) j["history"].push_back(metrics_json(metrics));
  io::write_safetensors(path, tensors, {{"format", "pt"}, {kKey, j.dump()}});
}

Checkpoint load_checkpoint(const std::string& path, const KeptScores& scores) {
  const io::WeightFile file = [&] {
    try {
      return io::read_weights(path);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      fail(error.code(), error.what(),
           "; this checkpoint cannot be gone on from: start the run again (--overwrite)");
    }
  }();
  return with_description(path, file, [&](const nlohmann::json& j, const std::string& what) {
    Checkpoint c;
    for (const std::string& note : file.notes) c.notes.push_back(str(path, ": ", note));
    c.model = file.tensors.with_prefix_removed("model/");
    c.best = file.tensors.with_prefix_removed("best/");
    c.optimizer = file.tensors.with_prefix_removed("optim/");
    c.average = file.tensors.with_prefix_removed("ema/");
    c.probe = file.tensors.with_prefix_removed("probe/");
    c.recipe = j.at("recipe").get<std::string>();
    c.identity = j.at("identity").get<std::string>();
    c.instruction_set = j.at("instruction_set").get<std::string>();
    check_counts(file.tensors, path);
    c.epoch = integer_in(j, "epoch", 0, kMostEpochs, what);
    c.best_epoch = integer_in(j, "best_epoch", std::min<int64_t>(c.epoch, 1), c.epoch, what);
    const ScoreKind& chooses = scores.validation[0];
    c.best_score = number_in(j, best_key(scores).c_str(),
                             std::min(chooses.lowest, -1.0),  // -1: there is no epoch yet
                             chooses.highest, what);
    GRAFT_CHECK(std::ssize(j.at("history")) == c.epoch, what, ": ", c.epoch,
                " epochs were finished, its history has ", j.at("history").size());
    for (const auto& line : j.at("history"))
      c.history.push_back(metrics_from(line, std::ssize(c.history) + 1, scores, what));
    read_phase(j, c, what);
    c.highest = worth_in(j, "highest", c, file.tensors, what);
    c.lowest = worth_in(j, "lowest", c, file.tensors, what);
    return c;
  });
}

RunRecord load_run_record(const std::string& path) {
  const io::WeightFile file = io::read_weights(path);
  return with_description(path, file, [&](const nlohmann::json& j, const std::string& what) {
    RunRecord record;
    record.recipe = j.at("recipe").get<std::string>();
    record.identity = j.at("identity").get<std::string>();
    record.epoch = integer_in(j, "epoch", 0, kMostEpochs, what);
    record.best_epoch = integer_in(j, "best_epoch", 0, record.epoch, what);
    std::string first;
    for (const auto& [key, value] : j.items())
      if (key.starts_with("best_") && key != "best_epoch") first = key.substr(key.find('_') + 1);
    for (const auto& line : j.at("history"))
      record.history.push_back(recorded_metrics(line, std::ssize(record.history) + 1, first, what));
    return record;
  });
}

}  // namespace graft::train
