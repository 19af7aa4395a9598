#include "graft/train/freezing.h"

#include <algorithm>

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/train/run_device.h"

namespace graft::train {
namespace {

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

void freeze_named(StagedNetwork& network, const std::string& name) {
  const auto& stages = network.stages();
  if (name.starts_with("..")) {
    const size_t last = network.stage_index(name.substr(2));
    for (size_t s = 0; s <= last; ++s) network.freeze_stage(s);
    return;
  }
  const auto stage = std::find(stages.begin(), stages.end(), name);
  if (stage != stages.end()) {
    network.freeze_stage(static_cast<size_t>(stage - stages.begin()));
    return;
  }
  Module* module = name.empty() ? nullptr : network.find(name);
  GRAFT_CHECK(module != nullptr, "freeze: there is no stage or module '", name,
              "'; the stages are ", join(stages));
  module->freeze();
}

template <class F>
void for_each_norm(StagedNetwork& network, F&& f) {
  network.for_each_module([&](const std::string&, Module& module) {
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&module)) f(*norm);
  });
}

}  // namespace

void apply_freezing(StagedNetwork& network, const Recipe& recipe) {
  if (recipe.freeze == "backbone") {
    for (size_t stage = 0; stage + 1 < network.stages().size(); ++stage)
      network.freeze_stage(stage);
  } else if (recipe.freeze != "none") {
    for (const std::string& name : split_list(recipe.freeze)) freeze_named(network, name);
  }
  for_each_norm(network, [&](BatchNorm2d& norm) {
    if (recipe.batch_norm == "train") {
      norm.unfreeze();
    } else if (recipe.batch_norm != "auto" && !norm.frozen()) {
      norm.fix_statistics(true);
      norm.set_own_requires_grad(false);
    }
  });
  const auto parameters = network.parameters();
  GRAFT_CHECK(std::any_of(parameters.begin(), parameters.end(),
                          [](const NamedTensor& p) { return requires_grad(p.tensor); }),
              "freeze: '", recipe.freeze, "' leaves nothing to train");
}

namespace {

// Batch norms whose statistics are re-estimated: puts everything else back in the end, and the
// statistics too unless they are kept.
class Reestimated {
 public:
  explicit Reestimated(StagedNetwork& network) {
    for_each_norm(network, [&](BatchNorm2d& norm) {
      norms_.push_back({&norm, norm.frozen(), norm.options().momentum, norm.running_mean().clone(),
                        norm.running_var().clone()});
      norm.unfreeze();
      norm.fix_statistics(false);
      norm.train(true);
    });
  }
  ~Reestimated() {
    for (const Norm& n : norms_) {
      n.norm->set_momentum(n.momentum);
      n.norm->fix_statistics(true);
      n.norm->set_own_requires_grad(false);
      if (n.frozen) n.norm->freeze();
      if (!is_kept_) n.norm->set_statistics(n.mean, n.variance);
    }
  }
  Reestimated(const Reestimated&) = delete;
  Reestimated& operator=(const Reestimated&) = delete;

  void set_momentum(double momentum) {
    for (const Norm& n : norms_) n.norm->set_momentum(momentum);
  }
  void keep() { is_kept_ = true; }

 private:
  struct Norm {
    BatchNorm2d* norm;
    bool frozen;
    double momentum;
    Tensor mean, variance;
  };
  std::vector<Norm> norms_;
  bool is_kept_ = false;
};

}  // namespace

void reestimate_statistics(StagedNetwork& network, BatchLoader& loader,
                           const std::function<void(int64_t, int64_t)>& progress) {
  const NoGradGuard no_grad;
  network.train(false);
  Reestimated norms(network);
  loader.start(0);
  int64_t count = 0, done = 0;
  for (Batch batch; loader.next(batch);) {
    norms.set_momentum(1.0 / static_cast<double>(++count));
    network.forward(to_device(batch.x, network.device()));
    done += batch.x.size(0);
    if (progress) progress(done, loader.samples());
  }
  norms.keep();
}

std::vector<std::string> norms_that_move(StagedNetwork& network,
                                         const std::vector<std::string>& paths,
                                         const Recipe& recipe) {
  std::vector<std::string> moving;
  if (recipe.batch_norm == "source") return moving;
  for (const std::string& path : paths) {
    const auto* norm = dynamic_cast<BatchNorm2d*>(network.find(path));
    GRAFT_CHECK(norm != nullptr, "there is no batch norm '", path, "'");
    if (!norm->frozen() || recipe.batch_norm == "adapt") moving.push_back(path);
  }
  return moving;
}

namespace {

// The norms at some paths of a network, which watches in eval mode what they read.
class Watching {
 public:
  Watching(StagedNetwork& network, const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      auto* norm = dynamic_cast<BatchNorm2d*>(network.find(path));
      GRAFT_CHECK(norm != nullptr, "there is no batch norm '", path, "'");
      norms_.push_back(norm);
    }
    network.train(false);
    for (BatchNorm2d* norm : norms_) norm->watch_inputs();
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;
  ~Watching() {
    for (BatchNorm2d* norm : norms_) norm->stop_watching();
  }
  void adopt() {
    for (BatchNorm2d* norm : norms_) norm->adopt_watched_statistics();
  }

 private:
  std::vector<BatchNorm2d*> norms_;
};

}  // namespace

void take_statistics(StagedNetwork& network, const std::vector<std::string>& paths,
                     BatchLoader& loader, const std::function<void(int64_t, int64_t)>& progress) {
  const NoGradGuard no_grad;
  Watching watching(network, paths);
  loader.start(0);
  int64_t done = 0;
  for (Batch batch; loader.next(batch);) {
    network.forward(to_device(batch.x, network.device()));
    done += batch.x.size(0);
    if (progress) progress(done, loader.samples());
  }
  watching.adopt();
}

void take_statistics(StagedNetwork& network, const std::vector<std::string>& paths,
                     const Tensor& images) {
  const NoGradGuard no_grad;
  Watching watching(network, paths);
  network.forward(images);
  watching.adopt();
}

std::string frozen_sha256(StagedNetwork& network) {
  Sha256 hash;
  bool any = false;
  network.for_each_module([&](const std::string& path, Module& module) {
    if (!module.frozen()) return;
    for (const auto& [name, tensor] : module.own_tensors()) {
      any = true;
      hash.update(str(path, ".", name, " ", tensor.shape(), "\n"));
      hash_elements(hash, tensor);
    }
  });
  return any ? hash.hex() : "";
}

}  // namespace graft::train
