#include "graft/train/run_memory.h"

#include <algorithm>

#include "graft/core/tensor/allocator.h"
#include "graft/train/memory_plan.h"
#include "graft/train/mixing.h"

namespace graft::train {
namespace {

RamRequest ram_request(RunContext& context, const FeatureStage& features,
                       const Optimizer& optimizer, const std::string& largest_image) {
  const auto bytes_of = [](const StateDict& state) {
    int64_t bytes = 0;
    for (const auto& [name, tensor] : state) bytes += tensor.bytes();
    return bytes;
  };
  const io::Preprocess& preprocess = context.preprocess;
  StagedNetwork& network = context.network;
  const int64_t copy = bytes_of(changing(network));
  RamRequest request{.ram = context.options.ram,
                     .batch = std::min(context.recipe.batch, context.data.train->size()),
                     .bytes_an_image = 4 * preprocess.channels * preprocess.pixels(),
                     .norms_learn = norms_learn(network),
                     .given = context.options.resume ? &context.recipe.step : nullptr,
                     .workers = context.options.workers};
  request.kept = bytes_of(network.state_dict()) + bytes_of(optimizer.state()) + copy +
                 packed_bytes(network, features.first()) + features.most_cached_bytes();
  if (context.probe) request.kept += copy;
  if (context.recipe.ema > 0) request.kept += copy;
  if (context.recipe.l2_sp > 0) request.kept += copy;
  if (mixes(context.recipe)) request.kept += 2 * request.batch * request.bytes_an_image;
  request.between = 2 * copy;  // a checkpoint that saves the best epoch's model
  request.scratch = scratch_bytes(network);
  request.data = context.data.bytes_held;
  request.decoding = context.gate ? context.gate->bytes() : 0;
  request.decoded = largest_image;
  return request;
}

// A step on images of zeros.
void run_trial(RunContext& context, const FeatureStage& features, TrainingStep& step,
               int64_t images, const StepPlan& plan) {
  const Tensor x = context.preprocess.zeros(images);
  const Batch batch{
      features.entering(x), context.task->made_up_targets(images, context.preprocess), {}};
  context.network.train(true);
  step.set_plan(plan);
  step.try_out(batch);
}

}  // namespace

std::string plan_decoding(RunContext& context) {
  const io::OpenedData& data = context.data;
  DecodePlan plan = plan_decoding(context.options.ram, data.bytes_held, context.options.workers,
                                  {data.train.get(), data.val.get(), data.test.get()});
  context.gate = std::move(plan.gate);
  return plan.largest;
}

int64_t plan_step(RunContext& context, const FeatureStage& features, const Optimizer& optimizer,
                  TrainingStep& step, const std::string& largest_image) {
  StagedNetwork& network = context.network;
  const StateDict before = copy_of_changing(network);
  const auto step_bytes = [&](int64_t images, const StepPlan& plan) {
    return tensor_bytes_of([&] { run_trial(context, features, step, images, plan); },
                           network.looks_at_values());
  };
  run_trial(context, features, step,
            std::min<int64_t>({2, context.recipe.batch, context.data.train->size()}),
            {});  // whatever is made once: compiled stages
  const MemoryPlan plan =
      plan_within(ram_request(context, features, optimizer, largest_image), step_bytes,
                  [&](const std::string& text) { context.note(text); });
  put_changing(network, before);
  cpu_allocator().release_cached();
  context.recipe.step = plan.step;
  step.set_plan(plan.step);
  if (context.options.on_plan) context.options.on_plan(plan.step);
  return plan.peak;
}

}  // namespace graft::train
