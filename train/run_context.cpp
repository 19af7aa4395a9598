#include "graft/train/run_context.h"

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/stop.h"
#include "graft/train/run_device.h"

namespace graft::train {

bool RunContext::on_cpu() const { return is_cpu(network.device()); }

int64_t RunContext::epochs_before() const { return probe ? std::ssize(probe->history) : 0; }
int64_t RunContext::last_epoch() const { return epochs_before() + recipe.epochs; }
int64_t RunContext::all_epochs() const {
  return last_epoch() + (phase == kProbePhase ? whole->epochs : 0);
}

std::string RunContext::recipe_json() const {
  Recipe of_run = whole ? *whole : recipe;
  of_run.step = recipe.step;
  return of_run.to_json();
}

std::string RunContext::file(const char* name) const { return join_path(options.folder, name); }

void RunContext::note(const std::string& text) const {
  if (options.on_note) options.on_note(text);
}

std::function<void(int64_t, int64_t)> RunContext::hear(const char* name) const {
  return [this, phase = name](int64_t done, int64_t total) {
    check_stop();
    if (options.on_progress) options.on_progress({phase, 0, all_epochs(), done, total, 0, {}});
  };
}

std::unique_ptr<BatchLoader> RunContext::loader(std::shared_ptr<const io::Dataset> dataset,
                                                int64_t batch, bool training) const {
  LoaderOptions o;
  o.batch = batch;
  o.shuffle = training;
  o.drop_single = training;
  o.seed = recipe.seed;
  if (training) o.augment = augment;
  o.views = recipe.views;
  o.task = task;
  o.workers = options.workers;
  o.device = network.device();
  o.gate = gate;
  o.input = options.input;
  if (options.ram > 0) o.cache_bytes = 0;
  return std::make_unique<BatchLoader>(std::move(dataset), preprocess, o);
}

std::unique_ptr<BatchLoader> RunContext::statistics_loader() const {
  LoaderOptions o;
  o.batch = recipe.batch;
  o.drop_single = true;
  o.workers = options.workers;
  o.device = network.device();
  o.gate = gate;
  o.input = options.input;
  if (options.ram > 0) o.cache_bytes = 0;
  return std::make_unique<BatchLoader>(data.train, preprocess, o);
}

int64_t RunContext::evaluation_batch() const {
  return recipe.step.micro_batch > 0 ? recipe.step.micro_batch : recipe.batch;
}

StateDict changing(StagedNetwork& network) {
  StateDict state;
  network.for_each_module([&](const std::string& path, Module& module) {
    if (module.frozen()) return;
    for (const auto& [name, tensor] : module.own_tensors())
      state.add(path.empty() ? name : path + "." + name, tensor);
  });
  return state;
}

StateDict copy_of_changing(StagedNetwork& network) {
  StateDict copy;
  for (const auto& [name, tensor] : changing(network)) copy.add(name, host_copy(tensor));
  return copy;
}

void put_changing(StagedNetwork& network, const StateDict& values) {
  for (const auto& [name, tensor] : changing(network)) Tensor(tensor).copy_from(values.at(name));
}

}  // namespace graft::train
