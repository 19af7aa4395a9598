// Fifty steps of every optimizer in double precision, plain, clipped and with rates and decays of
// their own for each parameter, and schedules, against PyTorch (tests/data/train/make_recipes.py)
// and timm (tests/golden/make_large_steps.py).
#include <gtest/gtest.h>

#include <cmath>

#include "graft/tests/train/fit_case.h"
#include "graft/tests/train/optimizer_case.h"
#include "graft/train/schedule.h"
#include "graft/train/sharpness.h"

namespace graft::train {
namespace {

const OptimizerCase kStepCases[] = {
    {"sgd", {.name = "sgd", .weight_decay = 0.02}},
    {"nesterov", {.name = "sgd", .nesterov = true}},
    {"adam", {.name = "adam", .weight_decay = 0.02}},
    {"adamw", {.name = "adamw", .weight_decay = 0.1}},
    {"rmsprop", {.name = "rmsprop", .weight_decay = 0.02, .beta2 = 0.99}},
    {"rmsprop_plain", {.name = "rmsprop", .momentum = 0, .beta2 = 0.95, .eps = 1e-6}},
};

// Of SAM: gradients that differ at the place that is climbed to.
void set_waving_gradients(const std::vector<NamedTensor>& parameters, int64_t step) {
  for (const NamedTensor& p : parameters) {
    Tensor grad = Tensor::empty_like(p.tensor);
    for (int64_t i = 0; i < p.tensor.numel(); ++i)
      grad.mutable_data<double>()[i] = 0.5 * std::sin(2 * p.tensor.data<double>()[i]) +
                                       0.125 * static_cast<double>(step % 4 - 1);
    set_grad(p.tensor, grad);
  }
}

// What 50 steps make of weight and bias, whose gradients follow them.
std::vector<NamedTensor> after_steps(const OptimizerOptions& options,
                                     std::vector<ParameterScale> scales) {
  std::vector<NamedTensor> parameters = golden_parameters();
  const auto optimizer = make_optimizer(parameters, options, std::move(scales));
  for (int64_t step = 0; step < 50; ++step) {
    set_golden_gradients(parameters, step, GradientKind::straight);
    optimizer->step(golden_rate(step));
  }
  return parameters;
}

std::vector<NamedTensor> after_sharp_steps(const OptimizerOptions& options, double rho) {
  std::vector<NamedTensor> parameters = golden_parameters();
  const auto optimizer = make_optimizer(parameters, options);
  Sharpness sharpness(parameters, rho);
  for (int64_t step = 0; step < 50; ++step) {
    set_waving_gradients(parameters, step);
    sharpness.climb();
    set_waving_gradients(parameters, step);
    sharpness.descend();
    optimizer->step(golden_rate(step));
  }
  return parameters;
}

void expect_fifty_steps(const OptimizerCase& c, const StateDict& goldens) {
  for (const char* kind : {"plain", "groups", "clipped"}) {
    OptimizerOptions options = c.options;
    std::vector<ParameterScale> scales;
    if (std::string(kind) == "groups") scales = {{0.65, 1}, {1, 0}};
    if (std::string(kind) == "clipped") options.clip_norm = 0.5;
    for (const NamedTensor& p : after_steps(options, scales)) {
      const std::string name = str(c.name, "/", kind, "/", p.name);
      expect_values(p.tensor, goldens.at(name), 1e-6, name);
    }
  }
}

TEST(OptimizerSteps, FiftyArePyTorchs) {
  for (const OptimizerCase& c : kStepCases) expect_fifty_steps(c, train_goldens("recipes"));
}

const OptimizerCase kTrustCases[] = {
    {"lars", {.name = "lars", .weight_decay = 0.02}},
    {"lars_nesterov", {.name = "lars", .nesterov = true, .weight_decay = 0.02}},
    {"lars_plain", {.name = "lars", .momentum = 0, .weight_decay = 0.02}},
    {"lamb", {.name = "lamb", .weight_decay = 0.02, .eps = 1e-6}},
    {"lamb_betas", {.name = "lamb", .weight_decay = 0.1, .beta1 = 0.8, .beta2 = 0.95}},
};

TEST(OptimizerSteps, FiftyAreTimms) {
  for (const OptimizerCase& c : kTrustCases) expect_fifty_steps(c, train_goldens("large_steps"));
}

TEST(OptimizerSteps, FiftyOfSamAreItsAuthors) {
  for (const OptimizerCase& c : {OptimizerCase{"sgd", {.name = "sgd", .weight_decay = 0.02}},
                                 OptimizerCase{"adamw", {.name = "adamw", .weight_decay = 0.1}}})
    for (const NamedTensor& p : after_sharp_steps(c.options, 0.05)) {
      const std::string name = str("sam/", c.name, "/", p.name);
      expect_values(p.tensor, train_goldens("large_steps").at(name), 1e-6, name);
    }
}

// The weight is drawn towards its start, the bias has the weight decay.
TEST(OptimizerSteps, FiftyWithAPullAreThoseOfAPenaltyInTheLoss) {
  for (OptimizerCase c : {OptimizerCase{"sgd", {.name = "sgd", .weight_decay = 0.02}},
                          OptimizerCase{"adamw", {.name = "adamw", .weight_decay = 0.1}}})
    for (const char* kind : {"plain", "clipped"}) {
      if (std::string(kind) == "clipped") c.options.clip_norm = 0.5;
      const std::vector<NamedTensor> parameters = golden_parameters();
      const auto optimizer = make_optimizer(parameters, c.options, {{1, 0}, {1, 1}},
                                            {{parameters[0].tensor.detach().clone(), 0.3}, {}});
      for (int64_t step = 0; step < 50; ++step) {
        set_golden_gradients(parameters, step, GradientKind::straight);
        optimizer->step(golden_rate(step));
      }
      for (const NamedTensor& p : parameters) {
        const std::string name = str("l2sp/", c.name, "/", kind, "/", p.name);
        expect_values(p.tensor, train_goldens("large_steps").at(name), 1e-6, name);
      }
    }
}

TEST(OptimizerSteps, KernelsAgreeToTheBit) {
  for (const double momentum : {0.0, 0.9})
    expect_kernels_agree(
        {"rmsprop", {.name = "rmsprop", .momentum = momentum, .weight_decay = 0.02}}, {5, 3, 701});
  // Of several pieces, whose sums are added up.
  for (const OptimizerCase& c : kTrustCases) expect_kernels_agree(c, {7, 5, 701, 2});
}

std::string complaint_of(const OptimizerOptions& options, std::vector<ParameterPull> pulls) {
  try {
    make_optimizer(golden_parameters(), options, {}, std::move(pulls));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "no error";
}

TEST(OptimizerSteps, WhatWouldDoNothingIsRefused) {
  for (const char* name : {"lars", "lamb"})
    EXPECT_EQ(complaint_of({.name = name}, {}),
              str("optimizer: ", name,
                  " scales the steps of parameters that have weight decay, and there is none"));
  EXPECT_NE(complaint_of({.name = "adagrad"}, {})
                .find("expected one of sgd, adam, adamw, rmsprop, lars, lamb"),
            std::string::npos);
  EXPECT_THROW(Sharpness({}, 0), Error);
  EXPECT_THROW(Sharpness({}, std::nan("")), Error);
}

TEST(OptimizerSteps, PullsThatDoNotFitAreRefused) {
  EXPECT_EQ(complaint_of({}, {{}}), "optimizer: 1 pulls for 2 parameters");
  EXPECT_NE(complaint_of({}, {{Tensor::zeros({2}), 1}, {}}).find("cannot be drawn towards"),
            std::string::npos);
  const Tensor same = golden_parameters()[0].tensor;
  EXPECT_NE(complaint_of({}, {{same, -1}, {}}).find("with a strength of -1"), std::string::npos);
  EXPECT_NE(complaint_of({.loss_scale = 0}, {{same, 1}, {}}).find("with a loss scale"),
            std::string::npos);
  EXPECT_EQ(complaint_of({}, {{same, 1}, {}}), "no error");
}

// No gradient that is finite: nothing is moved, and nothing put back.
TEST(OptimizerSteps, SamDoesNotClimbAlongNoNumber) {
  const auto parameters = golden_parameters();
  Sharpness sharpness(parameters, 0.05);
  set_golden_gradients(parameters, 0);
  Tensor bad = golden_gradient(parameters[0].tensor, 0);
  bad.mutable_data<double>()[1] = std::nan("");
  set_grad(parameters[0].tensor, bad);
  EXPECT_FALSE(std::isfinite(sharpness.climb()));
  sharpness.descend();
  EXPECT_EQ(parameters[0].tensor.to_doubles(), golden_parameters()[0].tensor.to_doubles());
  EXPECT_EQ(parameters[1].tensor.to_doubles(), golden_parameters()[1].tensor.to_doubles());
  EXPECT_FALSE(grad_of(parameters[0].tensor).defined());
}

TEST(ScheduleRates, ArePyTorchs) {
  for (const char* name : {"polynomial", "exponential"})
    for (const int64_t steps : {7, 50}) {
      const auto wanted =
          train_goldens("recipes").at(str("schedule/", name, "/", steps)).to_doubles();
      for (int64_t step = 0; step < steps; ++step)
        EXPECT_NEAR(learning_rate({.name = name, .lr = 0.3, .steps = steps}, step),
                    wanted[static_cast<size_t>(step)], 1e-12)
            << name << " " << step << " of " << steps;
    }
}

TEST(ScheduleRates, FallOnAPlateauAsPyTorchs) {
  const auto losses = train_goldens("recipes").at("plateau/losses").to_doubles(),
             rates = train_goldens("recipes").at("plateau/rates").to_doubles();
  EXPECT_EQ(plateau_factor({}), 1);
  for (size_t n = 1; n <= losses.size(); ++n)
    EXPECT_NEAR(plateau_factor(std::span(losses).first(n)), rates[n - 1], 1e-12) << n;
  EXPECT_LT(rates.back(), 0.02);
}

// The rate of an epoch is a function of the losses before it, so that a resumed run has it too.
TEST(ScheduleRates, OfAPlateauAreInTheHistory) {
  Recipe recipe = small_recipe();
  recipe.schedule = "plateau";
  recipe.lr = 1e-9;  // nothing is learned
  recipe.epochs = 8;
  recipe.batch_norm = "source";
  const auto history = run_small(recipe).result.history;
  std::vector<double> losses;
  for (const EpochMetrics& metrics : history) {
    EXPECT_DOUBLE_EQ(metrics.lr, recipe.lr * plateau_factor(losses));
    losses.push_back(metrics.val_score("loss"));
  }
  EXPECT_LT(history.back().lr, recipe.lr / 5);
}

}  // namespace
}  // namespace graft::train
