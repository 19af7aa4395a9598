// Fifty steps of every optimizer in double precision, plain, clipped and with rates and decays of
// their own for each parameter, and schedules, against PyTorch (tests/data/train/make_recipes.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "graft/core/runtime/exec_context.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/kernels/cpu_support.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/optimizer.h"
#include "graft/train/schedule.h"

namespace graft::train {
namespace {

const StateDict& step_goldens() {
  static const StateDict tensors = io::read_weights(GRAFT_TEST_DATA "/train/recipes.npz").tensors;
  return tensors;
}

struct StepCase {
  const char* name;
  OptimizerOptions options;
};

const StepCase kStepCases[] = {
    {"sgd", {.name = "sgd", .weight_decay = 0.02}},
    {"nesterov", {.name = "sgd", .nesterov = true}},
    {"adam", {.name = "adam", .weight_decay = 0.02}},
    {"adamw", {.name = "adamw", .weight_decay = 0.1}},
    {"rmsprop", {.name = "rmsprop", .weight_decay = 0.02, .beta2 = 0.99}},
    {"rmsprop_plain", {.name = "rmsprop", .momentum = 0, .beta2 = 0.95, .eps = 1e-6}},
};

// What 50 steps make of weight and bias, whose gradients follow them.
std::vector<NamedTensor> after_steps(const OptimizerOptions& options,
                                     std::vector<ParameterScale> scales) {
  const StateDict start = io::read_weights(GRAFT_TEST_DATA "/train/goldens.npz").tensors;
  std::vector<NamedTensor> parameters;
  for (const char* name : {"weight", "bias"}) {
    const Tensor tensor = start.at(str("start/", name)).clone();
    set_requires_grad(tensor, true);
    parameters.push_back({name, tensor});
  }
  const auto optimizer = make_optimizer(parameters, options, std::move(scales));
  for (int step = 0; step < 50; ++step) {
    for (const NamedTensor& p : parameters) {
      Tensor grad = Tensor::empty_like(p.tensor);
      for (int64_t i = 0; i < p.tensor.numel(); ++i) {
        const double w = p.tensor.data<double>()[i];
        grad.mutable_data<double>()[i] = 0.5 * w + 0.125 * (step % 4 - 1);
      }
      set_grad(p.tensor, grad);
    }
    optimizer->step(0.02 / (1 + step / 10.0));
  }
  return parameters;
}

TEST(OptimizerSteps, FiftyArePyTorchs) {
  for (const StepCase& c : kStepCases)
    for (const char* kind : {"plain", "groups", "clipped"}) {
      OptimizerOptions options = c.options;
      std::vector<ParameterScale> scales;
      if (std::string(kind) == "groups") scales = {{0.65, 1}, {1, 0}};
      if (std::string(kind) == "clipped") options.clip_norm = 0.5;
      for (const NamedTensor& p : after_steps(options, scales)) {
        const auto actual = p.tensor.to_doubles(),
                   wanted = step_goldens().at(str(c.name, "/", kind, "/", p.name)).to_doubles();
        ASSERT_EQ(actual.size(), wanted.size());
        for (size_t i = 0; i < wanted.size(); ++i)
          EXPECT_NEAR(actual[i], wanted[i], 1e-6) << c.name << " " << kind << " " << p.name;
      }
    }
}

// Every implementation on every instruction set, tails included.
TEST(OptimizerSteps, KernelsAgreeToTheBit) {
  const auto results = [](ExecContext& context, double momentum, DType dtype) {
    const ScopedExecContext scope(context);
    const Tensor weight = cpu_tests::random({5, 3, 701}, 1, {}, dtype);
    set_requires_grad(weight, true);
    const auto optimizer = make_optimizer(
        {{"w", weight}}, {.name = "rmsprop", .momentum = momentum, .weight_decay = 0.02});
    for (uint64_t step = 2; step < 5; ++step) {
      set_grad(weight, cpu_tests::random(weight.shape(), step, {}, dtype));
      optimizer->step(0.01);
    }
    return weight;
  };
  for (const double momentum : {0.0, 0.9})
    for (const DType dtype : {DType::f32, DType::f64}) {
      ExecContext reference = cpu_tests::only("reference");
      const Tensor expected = results(reference, momentum, dtype);
      for (const InstructionSet set : cpu_tests::instruction_sets()) {
        ExecContext engine = cpu_tests::only("cpu", 3, set);
        const Tensor actual = results(engine, momentum, dtype);
        EXPECT_EQ(std::memcmp(actual.raw(), expected.raw(), static_cast<size_t>(actual.bytes())), 0)
            << momentum << " " << name_of(set);
      }
    }
}

TEST(ScheduleRates, ArePyTorchs) {
  for (const char* name : {"polynomial", "exponential"})
    for (const int64_t steps : {7, 50}) {
      const auto wanted = step_goldens().at(str("schedule/", name, "/", steps)).to_doubles();
      for (int64_t step = 0; step < steps; ++step)
        EXPECT_NEAR(learning_rate({.name = name, .lr = 0.3, .steps = steps}, step),
                    wanted[static_cast<size_t>(step)], 1e-12)
            << name << " " << step << " of " << steps;
    }
}

TEST(ScheduleRates, FallOnAPlateauAsPyTorchs) {
  const auto losses = step_goldens().at("plateau/losses").to_doubles(),
             rates = step_goldens().at("plateau/rates").to_doubles();
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
