// A run in two phases (Recipe::probe_epochs): a probe, which trains the head on frozen features,
// then the tuning of everything that the recipe does not freeze, from there. (Kumar et al.,
// "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022.)
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/core/tensor/state_dict.h"
#include "graft/layers/modules/staged_network.h"
#include "graft/train/metrics.h"
#include "graft/train/recipe.h"

namespace graft::train {

// How the probe of a recipe trains: as with a frozen backbone and without augmentation, so that
// every feature is computed once.
Recipe probe_recipe(const Recipe& recipe);

// A finished probe.
struct KeptProbe {
  StateDict head{};  // what it changed in the network, of its kept epoch
  std::vector<EpochMetrics> history{};
  int64_t epoch = 0;  // the kept one

  const EpochMetrics& kept() const { return history.at(static_cast<size_t>(epoch - 1)); }
};

// Puts the head of a probe into the network that its run began with. bad_input naming `path` when
// it does not fit.
void put_probe(StagedNetwork& network, const Recipe& recipe, const StateDict& head,
               const std::string& path);

// What of a network is frozen and what has gradients, to be put back as it was.
class FrozenParts {
 public:
  explicit FrozenParts(StagedNetwork& network);
  void put_back() const;

 private:
  struct Part {
    Module* module;
    bool is_frozen;
    std::vector<bool> has_gradient;  // of its own tensors
  };
  std::vector<Part> parts_;
};

// Whether the tuned network is kept rather than the probe's: its loss is lower, on the validation
// part; where a loss is not known, its score is better.
bool is_tuned_better(double tuned_loss, double probe_loss, double tuned_score, double probe_score,
                     bool higher_is_better);

}  // namespace graft::train
