// TrainingStep: gradients and the optimizer in one, a loss that is no number, steps that only
// count.
#include "graft/train/training_step.h"

#include <gtest/gtest.h>

#include <limits>

#include "graft/core/autograd/grad_meta.h"
#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

Batch small_batch() {
  BatchLoader loader(std::make_shared<PatternDataset>(8, 3, 10), pattern_preprocess(8),
                     {.batch = 8});
  Batch batch;
  loader.start(0);
  EXPECT_TRUE(loader.next(batch));
  return batch;
}

struct Training {
  std::unique_ptr<SmallNetwork> network = small_network();
  Classification task{3};
  std::unique_ptr<Optimizer> optimizer = make_optimizer(network->parameters(), {});
  Training() { network->train(true); }
};

TEST(TrainingStepObject, IsGradientsAndTheOptimizersStep) {
  for (const StepPlan& plan : {StepPlan{}, StepPlan{4, false}, StepPlan{0, true}}) {
    Training one, apart;
    const Batch batch = small_batch();
    TrainingStep step(*one.network, 0, one.task, *one.optimizer, {.plan = plan});
    StepResult result = step.run(batch, 0.1);
    EXPECT_TRUE(step.settle(result));
    StepResult expected = add_gradients(*apart.network, 0, apart.task, batch, {.plan = plan});
    expected.read();
    apart.optimizer->step(0.1);
    EXPECT_EQ(result.loss, expected.loss);
    EXPECT_EQ(bytes_of(*one.network), bytes_of(*apart.network));
    for (const NamedTensor& p : one.network->parameters())
      EXPECT_FALSE(grad_of(p.tensor).defined()) << p.name;
  }
}

TEST(TrainingStepObject, ALossThatIsNoNumberChangesNoParameter) {
  for (const StepPlan& plan : {StepPlan{}, StepPlan{4, false}}) {
    Training broken;
    Tensor bias = static_cast<Linear*>(broken.network->find("fc"))->bias();
    bias.copy_from(Tensor::full(bias.shape(), std::numeric_limits<double>::quiet_NaN()));
    const std::vector<double> before = broken.network->parameters()[0].tensor.to_doubles();
    TrainingStep step(*broken.network, 0, broken.task, *broken.optimizer,
                      {.plan = plan, .highest_lr = 0.5});
    try {
      step.run(small_batch(), 0.1, {0, 2, 6});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(),
                   "the loss is nan at step 7 of epoch 2: lower the learning rate (0.5)");
    }
    EXPECT_EQ(broken.network->parameters()[0].tensor.to_doubles(), before);
  }
}

TEST(TrainingStepObject, TriedOutItLeavesEverythingAsItWas) {
  for (const StepPlan& plan : {StepPlan{}, StepPlan{4, false}, StepPlan{0, true}}) {
    Training training;
    const std::string before = bytes_of(*training.network);
    TrainingStep step(*training.network, 0, training.task, *training.optimizer, {.plan = plan});
    step.try_out(small_batch());
    EXPECT_EQ(bytes_of(*training.network), before);
    for (const NamedTensor& p : training.network->parameters())
      EXPECT_FALSE(grad_of(p.tensor).defined()) << p.name;
  }
}

}  // namespace
}  // namespace graft::train
