#include "graft/train/run_setup.h"

#include "graft/train/freezing.h"
#include "graft/train/mixing.h"
#include "graft/train/parameter_scales.h"

namespace graft::train {

io::Augment augmentation(const Input& input, const Recipe& recipe, const io::OpenedData& data) {
  io::Augment augment = input.augment(recipe.augment);
  const bool has_places =
      data.answers == io::AnswerKind::maps || data.answers == io::AnswerKind::boxes;
  GRAFT_CHECK(augment.ops == io::OpPolicy::none || !has_places, "augment ", recipe.augment,
              " turns and shifts images, and masks and boxes do not follow: none, light and strong "
              "are for such data");
  GRAFT_CHECK(recipe.erase == 0 || input.keeps_pixels(),
              "erase is for images, these samples are of input ", input.name());
  augment.erase = recipe.erase;
  return augment;
}

// Before anything is trained, the probe of a recipe that mixes afterwards too.
void check_mixing(RunContext& context) {
  if (!mixes(context.recipe)) return;
  GRAFT_CHECK(context.task->mixes(), "mixup and cutmix mix what two images are; targets of task ",
              context.task->name(), " have no such mixture");
  GRAFT_CHECK(context.on_cpu(), "mixup and cutmix are for training on the CPU");
  const FrozenParts before(context.network);
  apply_freezing(context.network, context.recipe);
  const size_t frozen = context.network.frozen_stages();
  before.put_back();
  GRAFT_CHECK(frozen == 0,
              "mixup and cutmix mix images in front of the first stage, which must learn: they are "
              "not for freeze ",
              context.recipe.freeze);
}

void check_device(const RunContext& context) {
  const Recipe& recipe = context.recipe;
  GRAFT_CHECK(!context.on_cpu() || recipe.precision != "fp16",
              "precision fp16 is for a CUDA device; the CPU trains in fp32 or bf16");
  const std::string& optimizer = recipe.optimizer.name;
  GRAFT_CHECK(context.on_cpu() || (optimizer != "lars" && optimizer != "lamb"), "optimizer ",
              optimizer, " is for training on the CPU");
  GRAFT_CHECK(context.on_cpu() || recipe.sam == 0,
              "sam is for training on the CPU: a device does not record the two passes of its "
              "step");
  GRAFT_CHECK(context.on_cpu() || context.options.ram == 0,
              "memory planning counts the host's bytes: --ram is for training on the CPU");
}

// A resumed run has them in its checkpoint, but starts from the same network as the first: the
// pass is cheap.
void give_statistics(RunContext& context) {
  const auto moving =
      norms_that_move(context.network, context.options.neutral_norms, context.recipe);
  if (moving.empty()) return;
  context.note(
      str(moving.size(),
          " batch norms were folded into their convolutions: one pass over the training images "
          "gives them statistics; the network's function stays the same"));
  take_statistics(context.network, moving,
                  *context.loader(context.data.train, context.recipe.batch, false),
                  context.hear("statistics"));
}

namespace {

// A probe's head is no source's.
bool source_has_head(const RunContext& context) {
  return context.options.head_is_trained && !context.probe;
}

}  // namespace

std::unique_ptr<Optimizer> optimizer_of(RunContext& context) {
  const Recipe& recipe = context.recipe;
  std::vector<NamedTensor> trainable;
  for (const NamedTensor& p : context.network.parameters())
    if (requires_grad(p.tensor)) trainable.push_back(p);
  OptimizerOptions options = recipe.optimizer;
  if (const Linear* head =
          recipe.standardize && recipe.head_prior ? lone_linear_head(context.network) : nullptr)
    options.weight_decay =
        head_weight_decay(head->weight().shape()[1], context.data.train->size()) /
        static_cast<double>(context.task->terms());
  if (recipe.precision == "fp16") options.loss_scale = recipe.loss_scale;
  const bool trained = source_has_head(context);
  auto scales = parameter_scales(context.network, trainable, recipe, trained);
  auto pulls = parameter_pulls(context.network, trainable, recipe, trained);
  return make_optimizer(std::move(trainable), options, std::move(scales), std::move(pulls));
}

StepOptions step_options(const RunContext& context, const FeatureStage& features) {
  return {.plan = context.recipe.step,
          .activations = features.activations(),
          .repeat = context.options.repeat_steps,
          .highest_lr = context.recipe.lr,
          .sam = context.recipe.sam};
}

}  // namespace graft::train
