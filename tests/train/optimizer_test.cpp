// Optimizers, schedules and metrics against PyTorch and scikit-learn
// (tests/data/train/make_train.py).
#include "graft/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "graft/core/autograd/backward.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/random.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/linear.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/reduction.h"
#include "graft/layers/functional/unary.h"
#include "graft/tests/train/optimizer_case.h"
#include "graft/train/recipe.h"
#include "graft/train/schedule.h"
#include "graft/train/tasks/classification/evaluation.h"

namespace graft::train {
namespace {

const StateDict& goldens() { return train_goldens("goldens"); }

const OptimizerCase kOptimizers[] = {
    {"sgd", {.name = "sgd", .momentum = 0}},
    {"sgd_decay", {.name = "sgd", .momentum = 0, .weight_decay = 0.02}},
    {"momentum", {.name = "sgd", .momentum = 0.9}},
    {"momentum_decay", {.name = "sgd", .momentum = 0.8, .weight_decay = 0.02}},
    {"nesterov", {.name = "sgd", .momentum = 0.9, .nesterov = true, .weight_decay = 0.02}},
    {"adam", {.name = "adam"}},
    {"adam_decay",
     {.name = "adam", .weight_decay = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6}},
    {"adamw", {.name = "adamw", .weight_decay = 0.1}},
};

// Steps [from, to).
void run(Optimizer& optimizer, const std::vector<NamedTensor>& parameters, int64_t from,
         int64_t to) {
  for (int64_t step = from; step < to; ++step) {
    set_golden_gradients(parameters, step);
    optimizer.step(0.05 / static_cast<double>(1 + step));
  }
}

TEST(Optimizers, TwentyStepsArePyTorchs) {
  for (const OptimizerCase& c : kOptimizers)
    for (const DType dtype : {DType::f64, DType::f32}) {
      const auto parameters = golden_parameters(dtype);
      const auto optimizer = make_optimizer(parameters, c.options);
      run(*optimizer, parameters, 0, 20);
      const double tolerance = dtype == DType::f64 ? 1e-13 : 1e-6;
      for (const NamedTensor& p : parameters) {
        const Tensor expected =
            goldens().at(str(c.name, "/", dtype == DType::f64 ? "float64/" : "float32/", p.name));
        ASSERT_EQ(p.tensor.dtype(), dtype);
        expect_values(p.tensor, expected, tolerance, str(c.name, " ", p.name), true);
      }
    }
}

TEST(Optimizers, StateCarriesTheRunOn) {
  for (const OptimizerCase& c : kOptimizers) {
    const auto whole = golden_parameters(DType::f32), parts = golden_parameters(DType::f32);
    run(*make_optimizer(whole, c.options), whole, 0, 12);
    StateDict state;
    {
      const auto first = make_optimizer(parts, c.options);
      run(*first, parts, 0, 5);
      for (const auto& [name, tensor] : first->state()) state.add(name, tensor.clone());
    }
    const auto second = make_optimizer(parts, c.options);
    second->load_state(state);
    run(*second, parts, 5, 12);
    for (size_t i = 0; i < whole.size(); ++i)
      EXPECT_EQ(std::memcmp(whole[i].tensor.raw(), parts[i].tensor.raw(),
                            static_cast<size_t>(whole[i].tensor.bytes())),
                0)
          << c.name;
  }
}

TEST(Optimizers, StateOfOtherParametersIsRefused) {
  const auto parameters = golden_parameters(DType::f32);
  const auto adam = make_optimizer(parameters, {.name = "adam"});
  EXPECT_THROW(adam->load_state({}), Error);
  EXPECT_THROW(adam->load_state(make_optimizer(parameters, {})->state()), Error);
  StateDict renamed;
  for (const auto& [name, tensor] : adam->state())
    renamed.add(name == "bias/mean" ? "bias/average" : name, tensor);
  EXPECT_THROW(adam->load_state(renamed), Error);
  StateDict reshaped;
  for (const auto& [name, tensor] : adam->state())
    reshaped.add(name, name == "bias/mean" ? Tensor::zeros({5}) : tensor);
  EXPECT_THROW(adam->load_state(reshaped), Error);
  EXPECT_NO_THROW(adam->load_state(adam->state()));
}

TEST(Optimizers, ThreadsAndLayoutsChangeNoBit) {
  std::vector<Tensor> values;  // of several chunks each
  for (uint64_t stream = 0; stream < 4; ++stream) {
    values.push_back(Tensor::empty({64, 3, 30, 31}));
    CountedRandom random(1, RandomPurpose::synthetic, stream);
    fill_uniform(values.back(), -1, 1, random);
  }
  for (const OptimizerCase& c : kOptimizers) {
    std::vector<Tensor> results;
    for (const int threads : {1, 2, 4})
      for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
        ExecContext context(threads);
        const ScopedExecContext scope(context);
        const Tensor weight = values[0].clone().to(format);
        set_requires_grad(weight, true);
        const auto optimizer = make_optimizer({{"w", weight}}, c.options);
        for (size_t step = 1; step < 4; ++step) {
          set_grad(weight, values[step]);  // the gradient may have the other layout
          optimizer->step(0.01);
        }
        results.push_back(weight.to(MemoryFormat::contiguous));
      }
    for (const Tensor& result : results)
      EXPECT_EQ(std::memcmp(result.raw(), results[0].raw(), static_cast<size_t>(result.bytes())), 0)
          << c.name;
  }
}

TEST(Optimizers, KernelsAgreeToTheBit) {
  for (const OptimizerCase& c : kOptimizers) expect_kernels_agree(c, {7, 5, 3, 701});
}

// A network of a shared weight, a weight with a gradient from before, one that the loss does not
// reach, one listed twice and plain ones: backward_and_step() does what the three calls do.
TEST(Optimizers, BackwardAndStepIsTheThreeCalls) {
  namespace F = functional;
  const auto trained = [&](const OptimizerCase& c, bool at_once) {
    std::vector<NamedTensor> parameters;
    for (const char* name : {"first", "shared", "earlier", "unreached", "twice"}) {
      const Tensor t = cpu_tests::random({6, 6}, parameters.size());
      set_requires_grad(t, true);
      parameters.push_back({name, t});
    }
    parameters.push_back({"again", parameters[4].tensor});
    const auto optimizer = make_optimizer(parameters, c.options);
    const Tensor x = cpu_tests::random({3, 6}, 9);
    for (int step = 0; step < 3; ++step) {
      set_grad(parameters[2].tensor, cpu_tests::random({6, 6}, 20));
      set_grad(parameters[3].tensor, cpu_tests::random({6, 6}, 21));
      Tensor y = F::linear(x, parameters[0].tensor, {});
      y = F::linear(
          F::relu(F::linear(F::linear(y, parameters[1].tensor, {}), parameters[2].tensor, {})),
          parameters[1].tensor, {});
      y = F::linear(y, parameters[4].tensor, {});
      const Tensor loss = F::cross_entropy(y, Tensor::of<int64_t>({3}, {1, 3, 5}));
      if (at_once) {
        optimizer->backward_and_step(loss, 0.01);
      } else {
        backward(loss);
        optimizer->step(0.01);
        for (const NamedTensor& p : parameters) set_grad(p.tensor, Tensor());
      }
    }
    std::vector<double> all;
    for (const NamedTensor& p : parameters) {
      EXPECT_FALSE(grad_of(p.tensor).defined()) << p.name;
      for (const double v : p.tensor.to_doubles()) all.push_back(v);
    }
    for (const auto& [name, tensor] : optimizer->state())
      for (const double v : tensor.to_doubles()) all.push_back(v);
    return all;
  };
  for (const OptimizerCase& c : kOptimizers)
    EXPECT_EQ(trained(c, true), trained(c, false)) << c.name;
}

TEST(Optimizers, BackwardAndStepHoldsOneGradientAtATime) {
  std::vector<NamedTensor> parameters;
  for (int i = 0; i < 12; ++i) {
    const Tensor t = cpu_tests::random({512, 512}, static_cast<uint64_t>(i));
    set_requires_grad(t, true);
    parameters.push_back({str("w", i), t});
  }
  const auto optimizer = make_optimizer(parameters, {});
  const auto peak = [&](bool at_once) {
    Tensor y = cpu_tests::random({2, 512}, 99);
    for (const NamedTensor& p : parameters) y = functional::linear(y, p.tensor, {});
    const Tensor loss = functional::reduce(y, {});
    cpu_allocator().reset_peak();
    const int64_t before = cpu_allocator().stats().peak_bytes;
    if (at_once)
      optimizer->backward_and_step(loss, 1e-9);
    else
      backward(loss);
    for (const NamedTensor& p : parameters) set_grad(p.tensor, Tensor());
    return cpu_allocator().stats().peak_bytes - before;
  };
  EXPECT_GT(peak(false), 12 * 512 * 512 * 4);
  EXPECT_LT(peak(true), 3 * 512 * 512 * 4);  // of one layer, and the kernels' scratch
}

TEST(Optimizers, ParametersWithoutGradientStay) {
  const auto parameters = golden_parameters(DType::f32);
  const auto before = parameters[1].tensor.to_doubles();
  const auto optimizer = make_optimizer(parameters, {.name = "adamw", .weight_decay = 0.5});
  set_grad(parameters[0].tensor, golden_gradient(parameters[0].tensor, 0));
  optimizer->step(0.1);
  EXPECT_EQ(parameters[1].tensor.to_doubles(), before);
  EXPECT_NE(parameters[0].tensor.to_doubles(),
            goldens().at("start/weight").to(DType::f32).to_doubles());
}

TEST(Optimizers, WrongOptionsAreErrors) {
  EXPECT_THROW(make_optimizer({}, {.name = "adagrad"}), Error);
  EXPECT_THROW(make_optimizer({}, {.momentum = 1}), Error);
  EXPECT_THROW(make_optimizer({}, {.momentum = -0.1}), Error);
  EXPECT_THROW(make_optimizer({}, {.weight_decay = -1}), Error);
  EXPECT_THROW(make_optimizer({}, {.weight_decay = std::nan("")}), Error);
  EXPECT_THROW(make_optimizer({}, {.name = "adam", .beta1 = 1}), Error);
  EXPECT_THROW(make_optimizer({}, {.name = "adam", .beta2 = -0.1}), Error);
  EXPECT_THROW(make_optimizer({}, {.name = "adam", .eps = -1}), Error);
  EXPECT_THROW(make_optimizer({{"index", Tensor::zeros({2}, {.dtype = DType::i64})}}, {}), Error);
}

TEST(Schedules, ArePyTorchs) {
  struct Case {
    const char* golden;
    ScheduleOptions options;
  };
  const Case cases[] = {{"onecycle", {.name = "onecycle"}},
                        {"cosine", {.name = "cosine"}},
                        {"constant", {.name = "constant"}},
                        {"step", {.name = "step"}},
                        {"warm_cosine", {.name = "cosine", .warmup = 3}}};
  for (const Case& c : cases)
    for (const int64_t steps : {7, 100}) {
      ScheduleOptions options = c.options;
      options.lr = 0.3;
      options.steps = steps;
      const auto expected = goldens().at(str("schedule/", c.golden, "/", steps)).to_doubles();
      for (int64_t step = 0; step < steps; ++step)
        EXPECT_NEAR(learning_rate(options, step), expected[static_cast<size_t>(step)], 1e-12)
            << c.golden << " " << step << " of " << steps;
    }
}

TEST(Schedules, ShortRunsHaveRates) {
  for (const char* name : {"constant", "step", "cosine", "onecycle"})
    for (int64_t steps = 1; steps < 6; ++steps)
      for (int64_t warmup = 0; warmup <= steps; ++warmup)
        for (int64_t step = 0; step < steps; ++step) {
          const double rate = learning_rate({name, 0.5, steps, warmup}, step);
          EXPECT_TRUE(rate >= 0 && rate <= 0.5)
              << name << " " << step << " of " << steps << ": " << rate;
        }
  EXPECT_THROW(learning_rate({.name = "linear"}, 0), Error);
  EXPECT_THROW(learning_rate({.lr = 0}, 0), Error);
  EXPECT_THROW(learning_rate({.lr = std::numeric_limits<double>::infinity()}, 0), Error);
}

TEST(Metrics, AreScikitLearns) {
  const Tensor logits = goldens().at("metrics/logits"), labels = goldens().at("metrics/labels");
  const auto predicted = predictions(logits);
  const auto expected = goldens().at("metrics/predicted").to_doubles();
  for (size_t i = 0; i < predicted.size(); ++i)
    EXPECT_EQ(static_cast<double>(predicted[i]), expected[i]);
  Evaluation evaluation(5);
  EXPECT_EQ(evaluation.accuracy(), 0);
  evaluation.add(predicted, labels);
  EXPECT_EQ(evaluation.samples(), 60);
  EXPECT_DOUBLE_EQ(evaluation.accuracy(), goldens().at("metrics/accuracy").item());
  const auto confusion = goldens().at("metrics/confusion").to_doubles(),
             precision = goldens().at("metrics/precision").to_doubles(),
             recall = goldens().at("metrics/recall").to_doubles();
  for (int64_t label = 0; label < 5; ++label) {
    EXPECT_DOUBLE_EQ(evaluation.precision(label), precision[static_cast<size_t>(label)]);
    EXPECT_DOUBLE_EQ(evaluation.recall(label), recall[static_cast<size_t>(label)]);
    for (int64_t other = 0; other < 5; ++other)
      EXPECT_EQ(static_cast<double>(evaluation.confusion(label, other)),
                confusion[static_cast<size_t>(5 * label + other)]);
  }
  EXPECT_THROW(evaluation.add({0}, Tensor::of<int64_t>({1}, {5})), Error);
  EXPECT_THROW(evaluation.add({0}, Tensor::of<int64_t>({1}, {-1})), Error);
}

TEST(Metrics, TheFirstOfEqualsWins) {
  EXPECT_EQ(predictions(Tensor::of<float>({2, 3}, {1, 1, 0, 0, 2, 2})),
            (std::vector<int64_t>{0, 1}));
}

TEST(Recipes, WhatMakesNoSenseIsRefused) {
  const auto refuses = [](auto change, const char* part) {
    Recipe recipe;
    change(recipe);
    try {
      recipe.validate();
      ADD_FAILURE() << part;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  const Recipe plain;
  plain.validate();
  default_recipe("backbone").validate();
  default_recipe("none").validate();
  refuses([](Recipe& r) { r.head_prior = true, r.optimizer.weight_decay = 0.1; }, "head_prior");
  refuses([](Recipe& r) { r.head_prior = true, r.optimizer.name = "adamw"; }, "head_prior");
  refuses([](Recipe& r) { r.sam = -1; }, "sam: -1 is not between");
  refuses([](Recipe& r) { r.l2_sp = -1; }, "l2-sp: -1");
  refuses([](Recipe& r) { r.l2_sp = 1, r.freeze = "backbone"; }, "none learns");
  refuses([](Recipe& r) { r.l2_sp = 1, r.precision = "fp16"; }, "l2-sp is not for precision fp16");
  refuses([](Recipe& r) { r.epochs = 0; }, "epochs");
  refuses([](Recipe& r) { r.batch = 0; }, "batch");
  refuses([](Recipe& r) { r.lr = -1; }, "lr");
  refuses([](Recipe& r) { r.lr = std::nan(""); }, "lr");
  refuses([](Recipe& r) { r.lr = std::numeric_limits<double>::infinity(); }, "rate");
  refuses([](Recipe& r) { r.schedule = "linear"; }, "linear");
  refuses([](Recipe& r) { r.warmup_epochs = r.epochs + 1; }, "warmup");
  refuses([](Recipe& r) { r.batch_norm = "learn"; }, "learn");
  refuses([](Recipe& r) { r.augment = "heavy"; }, "heavy");
  refuses([](Recipe& r) { r.label_smoothing = 1; }, "smoothing");
  refuses([](Recipe& r) { r.freeze = ""; }, "freeze");
  refuses([](Recipe& r) { r.optimizer.name = "adagrad"; }, "adagrad");
}

}  // namespace
}  // namespace graft::train
