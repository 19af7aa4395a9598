// RunSetup: what fit() and a range test (rate_range.h) make ready in the same way.
#pragma once
#include <memory>

#include "graft/train/feature_stage.h"
#include "graft/train/run_context.h"
#include "graft/train/training_step.h"

namespace graft::train {

// The recipe's augmentation of these samples. bad_input where masks or boxes could not follow it,
// or an input has no pixels to erase.
io::Augment augmentation(const Input& input, const Recipe& recipe, const io::OpenedData& data);
// bad_input for a recipe that mixes where it cannot. Before anything is trained.
void check_mixing(RunContext& context);
// bad_input for what the network's device cannot do.
void check_device(const RunContext& context);
// Folded batch norms that are to move get statistics.
void give_statistics(RunContext& context);
// Of what trains, frozen parts known; values that it draws weights to are the network's now.
std::unique_ptr<Optimizer> optimizer_of(RunContext& context);
StepOptions step_options(const RunContext& context, const FeatureStage& features);

}  // namespace graft::train
