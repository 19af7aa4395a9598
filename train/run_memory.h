// How a run keeps within FitOptions::ram: what decoders may take, and the step that fits.
#pragma once
#include "graft/train/feature_stage.h"
#include "graft/train/run_context.h"
#include "graft/train/training_step.h"

namespace graft::train {

// Before an image is decoded: what decoders may take together (RunContext::gate). Returns the name
// of the image that takes most; "" when none takes any.
std::string plan_decoding(RunContext& context);

// Counts steps until one keeps within the memory; it becomes the recipe's and the step's. Returns
// the bytes that the allocator will have handed out at most. What steps without kernels leave in
// running statistics is put right behind them.
int64_t plan_step(RunContext& context, const FeatureStage& features, const Optimizer& optimizer,
                  TrainingStep& step, const std::string& largest_image);

}  // namespace graft::train
