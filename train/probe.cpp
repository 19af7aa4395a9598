#include "graft/train/probe.h"

#include <cmath>

#include "graft/train/freezing.h"
#include "graft/train/run_context.h"

namespace graft::train {

Recipe probe_recipe(const Recipe& recipe) {
  const Recipe frozen = default_recipe("backbone"), plain;
  Recipe probe = recipe;
  probe.freeze = frozen.freeze;
  probe.epochs = recipe.probe_epochs;
  probe.lr = recipe.probe_lr;
  probe.optimizer = frozen.optimizer;
  probe.schedule = frozen.schedule;
  probe.warmup_epochs = frozen.warmup_epochs;
  probe.augment = frozen.augment;
  probe.erase = frozen.erase;
  probe.views = frozen.views;
  probe.standardize = frozen.standardize;
  probe.head_prior = frozen.head_prior;
  probe.batch_norm = recipe.batch_norm == "train" ? "auto" : recipe.batch_norm;
  probe.layer_decay = plain.layer_decay;
  probe.decay_norms = plain.decay_norms;
  probe.ema = plain.ema;
  probe.sam = plain.sam;
  probe.l2_sp = plain.l2_sp;
  probe.mixup = plain.mixup;
  probe.cutmix = plain.cutmix;
  probe.probe_epochs = 0;
  probe.step = {};
  return probe;
}

void put_probe(StagedNetwork& network, const Recipe& recipe, const StateDict& head,
               const std::string& path) {
  const FrozenParts before(network);
  apply_freezing(network, probe_recipe(recipe));
  const StateDict changed = changing(network);
  bool fits = head.size() == changed.size();
  for (const auto& [name, tensor] : changed) {
    const Tensor kept = head.find(name);
    fits =
        fits && kept.defined() && kept.shape() == tensor.shape() && kept.dtype() == tensor.dtype();
  }
  GRAFT_CHECK(fits, path, ": the head that its probe trained is not one of this network");
  put_changing(network, head);
  before.put_back();
}

FrozenParts::FrozenParts(StagedNetwork& network) {
  network.for_each_module([this](const std::string&, Module& module) {
    Part part{&module, module.frozen(), {}};
    for (const NamedTensor& own : module.own_tensors())
      part.has_gradient.push_back(requires_grad(own.tensor));
    parts_.push_back(std::move(part));
  });
}

// From the root on: what is said of a module holds for all below, until they say otherwise.
void FrozenParts::put_back() const {
  for (const Part& part : parts_) part.is_frozen ? part.module->freeze() : part.module->unfreeze();
  for (const Part& part : parts_) {
    const std::vector<NamedTensor> own = part.module->own_tensors();
    for (size_t i = 0; i < own.size(); ++i)
      if (requires_grad(own[i].tensor) != part.has_gradient[i])
        set_requires_grad(own[i].tensor, part.has_gradient[i]);
  }
}

bool is_tuned_better(double tuned_loss, double probe_loss, double tuned_score, double probe_score,
                     bool higher_is_better) {
  if (std::isfinite(tuned_loss) && std::isfinite(probe_loss)) return tuned_loss < probe_loss;
  if (std::isfinite(tuned_score) != std::isfinite(probe_score)) return std::isfinite(tuned_score);
  return higher_is_better ? tuned_score > probe_score : tuned_score < probe_score;
}

}  // namespace graft::train
