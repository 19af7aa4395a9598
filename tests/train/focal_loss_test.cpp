// Focal loss of classification against PyTorch's autograd (tests/golden/make_large_steps.py).
#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/layers/functional/loss.h"
#include "graft/tests/train/fit_case.h"
#include "graft/tests/train/optimizer_case.h"

namespace graft::train {
namespace {

const StateDict& focal_goldens() { return train_goldens("large_steps"); }

Tensor focal_logits() {
  const Tensor logits = focal_goldens().at("focal/logits").clone();
  set_requires_grad(logits, true);
  return logits;
}

void expect_focal(const Classification& task, const Targets& targets, const std::string& name) {
  const Tensor logits = focal_logits();
  const Tensor loss = task.loss(logits, targets);
  backward(loss);
  expect_values(loss, focal_goldens().at(str("focal/", name, "/loss")), 1e-6, name, true);
  expect_values(grad_of(logits), focal_goldens().at(str("focal/", name, "/gradient")), 1e-6, name);
}

TEST(FocalLoss, IsPyTorchs) {
  const Targets labels = focal_goldens().at("focal/labels");
  expect_focal(Classification(5, {.focal = true}), labels, "plain");
  expect_focal(Classification(5, {.focal = true, .weight_of_class = {0.5, 2, 1, 0.25, 3}}), labels,
               "weighed");
  expect_focal(Classification(5, {.label_smoothing = 0.1, .focal = true}), labels, "smoothed");
  const Classification task(5, {.focal = true});
  expect_focal(task, task.mixed(labels, 0.7), "mixed");
}

TEST(FocalLoss, CountsWhatIsRightAlreadyForLess) {
  const Tensor sure = Tensor::of<float>({1, 2}, {3, -3}), label = Tensor::of<int64_t>({1}, {0});
  const double plain = Classification(2).loss(sure, label).item(),
               focal = Classification(2, {.focal = true}).loss(sure, label).item();
  EXPECT_LT(focal, plain / 1000);
  EXPECT_GT(focal, 0);
}

TEST(FocalLoss, RefusesLabelsThatAreNone) {
  const Classification task(5, {.focal = true});
  EXPECT_THROW(task.loss(focal_logits(), Tensor::full({12}, 5, {.dtype = DType::i64})), Error);
}

TEST(FocalLoss, IsInTheRecipeAndTrains) {
  Recipe recipe = small_recipe();
  recipe.loss = "focal";
  recipe.epochs = 8;
  const Outcome focal = run_small(recipe);
  EXPECT_LT(focal.result.history.back().loss, focal.result.history.front().loss);
  EXPECT_NE(recipe.to_json().find("\"loss\":\"focal\""), std::string::npos);
  recipe.loss = "";
  EXPECT_NE(run_small(recipe).model, focal.model);
  recipe.loss = "dice";
  try {
    run_small(recipe);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "loss: 'dice' is not for task classify, which has ce and focal");
  }
}

}  // namespace
}  // namespace graft::train
