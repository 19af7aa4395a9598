// The tape under the differentiable functions: what is recorded, what flows where, what is refused;
// and the Trace.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/kernels/ops/batch_norm.h"
#include "graft/layers/functional/functional.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

namespace F = functional;
using Values = std::vector<double>;

Tensor leaf(const Shape& shape, uint64_t stream, bool wanted = true) {
  const Tensor t = test::distinct_values(shape, -1, 1, stream);
  set_requires_grad(t, wanted);
  return t;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(Tape, AnInputUsedTwiceCollectsBothGradients) {
  const Tensor x = Tensor::of<double>({2}, {3, -2});
  set_requires_grad(x, true);
  const Tensor y = F::add(F::mul(x, x), x);  // dy/dx = 2x + 1
  backward(F::reduce(F::mul(y, x), {}));     // x^3 + x^2: 3x^2 + 2x
  EXPECT_EQ(grad_of(x).to_doubles(), (Values{33, 8}));
}

// Tensor's own methods keep the gradient as the functions do.
TEST(Tape, FormsOfATensorKeepItsGradient) {
  const Tensor x = leaf({2, 3, 2, 2}, 1);
  const Tensor weights = test::distinct_values({2, 3, 2, 2}, -1, 1, 2);
  const auto gradient_of = [&](const std::function<Tensor(const Tensor&)>& form) {
    set_grad(x, Tensor());
    const Tensor y = form(F::mul(x, weights));
    backward(F::reduce(F::mul(y, y), {}));
    return grad_of(x).to_doubles();
  };
  const Values plain = gradient_of([](const Tensor& t) { return t; });
  using Form = std::function<Tensor(const Tensor&)>;
  for (const Form& form : std::vector<Form>{
           [](const Tensor& t) {
             return t.reshape({6, 4});
           },
           [](const Tensor& t) { return t.to(MemoryFormat::channels_last); },
           [](const Tensor& t) {
             return t.to(MemoryFormat::channels_last).to(MemoryFormat::contiguous).reshape({24});
           }})
    EXPECT_EQ(gradient_of(form), plain);
  const Values narrow = gradient_of([](const Tensor& t) { return t.to(DType::f32); });
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(narrow[i], plain[i], 1e-6);
  const Values part = gradient_of([](const Tensor& t) { return t.narrow_batch(1, 1); });
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(part[i], i < 12 ? 0 : plain[i]);
}

TEST(Tape, DetachAndNoGradCutTheGradient) {
  const Tensor x = leaf({2, 2}, 1);
  EXPECT_FALSE(needs_grad(x.detach().reshape({4})));
  EXPECT_FALSE(needs_grad(x.clone()));
  EXPECT_FALSE(needs_grad(x.to(DType::i64)));
  EXPECT_TRUE(needs_grad(x.reshape({4})));
  const NoGradGuard no_grad;
  EXPECT_FALSE(needs_grad(x.reshape({4})));
}

TEST(Tape, AnIntermediateUsedTwiceIsWalkedOnce) {
  const Tensor x = Tensor::of<double>({1}, {0.5});
  set_requires_grad(x, true);
  Tensor y = x;
  for (int i = 0; i < 40; ++i) y = F::add(y, y);  // 2^40 paths
  backward(y);
  EXPECT_EQ(grad_of(x).item(), std::pow(2.0, 40));
}

TEST(Tape, ALeafIsToldOfOnceWhenItsGradientIsComplete) {
  const Tensor x = Tensor::of<double>({2}, {3, -2}), a = Tensor::of<double>({2}, {1, 2}),
               b = Tensor::of<double>({2}, {5, 7});
  const Tensor frozen = Tensor::of<double>({2}, {1, 1}), apart = Tensor::of<double>({2}, {1, 1});
  for (const Tensor& t : {x, a, b, apart}) set_requires_grad(t, true);
  const Tensor y = F::mul(F::mul(F::mul(F::mul(x, a), b), x), frozen);  // x is used first and last
  std::vector<const GradMeta*> told;
  Values complete;
  BackwardPass pass(F::reduce(y, {}));
  while (GradMeta* leaf = pass.next_leaf()) {
    told.push_back(leaf);
    if (leaf == grad_meta(x)) complete = leaf->grad.to_doubles();
    if (leaf == grad_meta(b)) const_cast<Tensor&>(b).copy_from(a);  // nobody reads it any more
    leaf->grad = Tensor();
  }
  EXPECT_EQ(told, (std::vector<const GradMeta*>{grad_meta(b), grad_meta(x), grad_meta(a)}));
  EXPECT_EQ(complete, (Values{30, -56}));  // 2 x a b
  for (const Tensor& t : {x, a, b, apart}) EXPECT_FALSE(grad_of(t).defined());
  BackwardPass short_pass(F::reduce(a, {}));
  EXPECT_EQ(short_pass.next_leaf(), grad_meta(a));
  EXPECT_EQ(short_pass.next_leaf(), nullptr);
  const Tensor lone = Tensor::of<double>({1}, {3});
  set_requires_grad(lone, true);
  BackwardPass of_lone(lone);
  EXPECT_EQ(of_lone.next_leaf(), grad_meta(lone));
  EXPECT_EQ(of_lone.next_leaf(), nullptr);
  EXPECT_EQ(grad_of(lone).item(), 1);
}

TEST(Tape, ASharedWeightCollectsFromBothCalls) {
  const Tensor x = leaf({1, 2, 5, 5}, 0, false), weight = leaf({2, 2, 3, 3}, 1);
  const ops::ConvAttributes same{ops::square_window(3, 1, 1)};
  const auto loss = [&](const Tensor& w1, const Tensor& w2) {
    return F::reduce(F::conv(F::conv(x, w1, {}, same), w2, {}, same), {});
  };
  backward(loss(weight, weight));
  const Values both = grad_of(weight).to_doubles();
  const Tensor first = weight.clone(), second = weight.clone();
  set_requires_grad(first, true);
  set_requires_grad(second, true);
  backward(loss(first, second));
  const Values a = grad_of(first).to_doubles(), b = grad_of(second).to_doubles();
  for (size_t i = 0; i < both.size(); ++i) EXPECT_NEAR(both[i], a[i] + b[i], 1e-12);
}

TEST(Tape, GradientsAddUpUntilCleared) {
  const Tensor x = leaf({3}, 0);
  for (int i = 0; i < 2; ++i)
    backward(F::reduce(F::mul(x, Tensor::full({3}, 2, {.dtype = DType::f64})), {}));
  EXPECT_EQ(grad_of(x).to_doubles(), (Values{4, 4, 4}));
  set_grad(x, {});
  EXPECT_FALSE(grad_of(x).defined());
  backward(F::reduce(x, {}));
  EXPECT_EQ(grad_of(x).to_doubles(), (Values{1, 1, 1}));
}

// One gradient tensor may reach two leaves; adding to one must not change the other.
TEST(Tape, LeavesDoNotShareWhatTheyCollect) {
  const Tensor a = leaf({2}, 0), b = leaf({2}, 1);
  backward(F::reduce(F::add(a, b), {}));
  backward(F::reduce(a, {}));
  EXPECT_EQ(grad_of(a).to_doubles(), (Values{2, 2}));
  EXPECT_EQ(grad_of(b).to_doubles(), (Values{1, 1}));
}

TEST(Tape, NothingIsRecordedWithoutNeed) {
  const Tensor x = leaf({1, 2, 4, 4}, 0, false), weight = leaf({3, 2, 3, 3}, 1);
  EXPECT_TRUE(needs_grad(F::conv(x, weight, {})));
  {
    const NoGradGuard no_grad;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(needs_grad(F::conv(x, weight, {})));
    { const NoGradGuard nested; }
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE(grad_enabled());
  set_requires_grad(weight, false);
  EXPECT_FALSE(needs_grad(F::conv(x, weight, {})));
}

TEST(Tape, AFrozenPrefixSavesNothingAndBackwardStopsAtItsEdge) {
  const Tensor x = leaf({1, 2, 4, 4}, 0, false), frozen = leaf({3, 2, 1, 1}, 1, false),
               head = leaf({2, 3}, 2);
  const Tensor features = F::relu(F::conv(x, frozen, {}));
  EXPECT_FALSE(needs_grad(features));
  EXPECT_EQ(features.autograd_meta(), nullptr);
  const Tensor logits = F::linear(F::flatten(F::global_average_pool(features)), head, {});
  backward(F::cross_entropy(logits, Tensor::of<int64_t>({1}, {1})));
  EXPECT_TRUE(grad_of(head).defined());
  EXPECT_FALSE(grad_of(frozen).defined());
  EXPECT_FALSE(grad_of(x).defined());
}

// A frozen layer behind a trained one: the gradient passes through it, none is made for its weight.
TEST(Tape, GradientsPassThroughAFrozenLayer) {
  const Tensor x = leaf({1, 2, 4, 4}, 0, false), trained = leaf({3, 2, 1, 1}, 1),
               frozen = leaf({2, 3, 1, 1}, 2, false);
  const Tensor y = F::conv(F::conv(x, trained, {}), frozen, {});
  const Node& node = *grad_meta(y)->node;
  EXPECT_TRUE(node.needs(0));
  EXPECT_FALSE(node.needs(1));
  backward(F::reduce(y, {}));
  EXPECT_TRUE(grad_of(trained).defined());
  EXPECT_FALSE(grad_of(frozen).defined());
}

TEST(Tape, DetachStopsTheGradient) {
  const Tensor x = leaf({3}, 0);
  const Tensor y = F::mul(x, x);
  backward(F::reduce(F::mul(y.detach(), x), {}));
  EXPECT_EQ(grad_of(x).to_doubles(), y.to_doubles());
}

TEST(Tape, OverwritingWhatBackwardNeedsIsAnError) {
  const Tensor x = leaf({1, 2, 3, 3}, 0), weight = leaf({2, 2, 1, 1}, 1);
  Tensor y = F::reduce(F::conv(x, weight, {}), {});
  Tensor(weight).copy_from(Tensor::zeros({2, 2, 1, 1}));
  const std::string message = message_of([&] { backward(y); });
  EXPECT_NE(message.find("conv"), std::string::npos) << message;
  EXPECT_NE(message.find("overwritten"), std::string::npos) << message;
  EXPECT_TRUE(grad_enabled());  // the walk's own guard was left

  // What backward does not need may change: the weight is not saved when the image needs no
  // gradient.
  const Tensor image = leaf({1, 2, 3, 3}, 2, false);
  y = F::reduce(F::conv(image, weight, {}), {});
  Tensor(weight).copy_from(Tensor::zeros({2, 2, 1, 1}));
  backward(y);
  EXPECT_TRUE(grad_of(weight).defined());
}

TEST(Tape, RunningStatisticsMayMoveAfterATrainingStepButNotAfterEvaluation) {
  const Tensor x = leaf({4, 2, 3, 3}, 0), mean = Tensor::zeros({2}, {.dtype = DType::f64});
  const Tensor variance = Tensor::full({2}, 1, {.dtype = DType::f64});
  for (const bool training : {true, false}) {
    const Tensor loss =
        F::reduce(F::batch_norm(x, {}, {}, mean, variance, {.training = training}), {});
    Tensor(mean).copy_from(Tensor::full({2}, 0.5));
    if (training) {
      EXPECT_NO_THROW(backward(loss));
    } else {
      EXPECT_THROW(backward(loss), Error);
    }
  }
}

TEST(Tape, AGraphIsConsumedByItsBackward) {
  const Tensor x = leaf({3}, 0), w = leaf({3}, 1);
  const Tensor product = F::reduce(F::mul(x, w), {});
  backward(product);
  const std::string message = message_of([&] { backward(product); });
  EXPECT_NE(message.find("already"), std::string::npos) << message;
  // The same for functions that save no elements.
  const Tensor sum = F::add(x, w), padded = F::pad(x, {{1}, {1}, 0});
  for (const Tensor& y : {sum, padded}) {
    const Tensor dy = Tensor::full(y.shape(), 1, y.options());
    backward(y, dy);
    EXPECT_THROW(backward(y, dy), Error);
  }
}

TEST(Tape, WhatBackwardRefuses) {
  const Tensor x = leaf({3}, 0), constant = leaf({3}, 1, false);
  EXPECT_NE(message_of([&] { backward(F::reduce(constant, {})); }).find("needs a gradient"),
            std::string::npos);
  EXPECT_NE(message_of([&] { backward(F::relu(x)); }).find("[3]"),
            std::string::npos);  // no gradient to start from
  EXPECT_THROW(backward(F::relu(x), Tensor::zeros({2}, {.dtype = DType::f64})), Error);
  EXPECT_THROW(backward(F::relu(x), Tensor::zeros({3}, {.dtype = DType::f32})), Error);
  EXPECT_THROW(set_requires_grad(F::relu(x), true), Error);
  EXPECT_THROW(set_requires_grad(Tensor::zeros({2}, {.dtype = DType::i64}), true), Error);
}

TEST(Tape, BackwardFromALeaf) {
  const Tensor x = Tensor::full({1}, 5, {.dtype = DType::f64});
  set_requires_grad(x, true);
  backward(x);
  EXPECT_EQ(grad_of(x).item(), 1);
}

// The gradient to start from may come in either layout.
TEST(Tape, TheFirstGradientIsPutIntoTheResultsLayout) {
  const Tensor dy = test::distinct_values({2, 3, 4, 5}, -1, 1, 9);
  Values gradients[2];
  for (const auto format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const Tensor x = test::distinct_values({2, 3, 4, 5}, -1, 1, 0).to(MemoryFormat::channels_last);
    set_requires_grad(x, true);
    backward(F::relu(x), dy.to(format));
    gradients[static_cast<int>(format)] = grad_of(x).to_doubles();
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

// A long chain neither overflows the stack in backward nor when it is dropped.
TEST(Tape, LongChains) {
  const Tensor x = Tensor::full({1}, 1, {.dtype = DType::f64}),
               one = Tensor::full({1}, 1, {.dtype = DType::f64});
  set_requires_grad(x, true);
  for (const bool walk : {true, false}) {
    Tensor y = x;
    for (int i = 0; i < 200000; ++i) y = F::add(y, one);
    if (walk) backward(y);
  }
  EXPECT_EQ(grad_of(x).item(), 1);
}

TEST(Trace, HoldsEveryOperationWithItsTensors) {
  const Tensor x = leaf({2, 3, 6, 6}, 0, false), weight = leaf({4, 3, 3, 3}, 1),
               c = Tensor::full({4}, 1, {.dtype = DType::f64});
  Trace trace;
  Tensor y, z;
  {
    const NoGradGuard no_grad;  // a trace needs no tape
    const ScopedTrace scope(trace);
    y = F::conv(x, weight, {}, {ops::square_window(3, 2, 1)});
    z = F::batch_norm(y, c, {}, c, c, {.eps = 0.25, .relu = true});
    z = F::flatten(F::max_pool(z, {ops::square_window(2, 1)}));
  }
  F::relu(y);  // outside
  ASSERT_EQ(trace.steps.size(), 4u);
  EXPECT_EQ(trace.steps[0].op, ops::ConvAttributes::id);
  EXPECT_EQ(trace.steps[0].as<ops::ConvAttributes>().window.stride[0], 2);
  EXPECT_EQ(trace.steps[0].as<ops::ConvAttributes>().window.kernel[1], 3);  // taken from the weight
  ASSERT_EQ(trace.steps[0].inputs.size(), 3u);
  EXPECT_TRUE(trace.steps[0].inputs[0].is_same(x));
  EXPECT_TRUE(trace.steps[0].inputs[1].is_same(weight));
  EXPECT_FALSE(trace.steps[0].inputs[2].defined());
  EXPECT_TRUE(trace.steps[0].outputs[0].is_same(y));
  EXPECT_EQ(trace.steps[1].op, ops::BatchNormAttributes::id);
  EXPECT_EQ(trace.steps[1].as<ops::BatchNormAttributes>().eps, 0.25);
  EXPECT_TRUE(trace.steps[1].as<ops::BatchNormAttributes>().relu);
  ASSERT_EQ(trace.steps[1].inputs.size(), 6u);  // x, weight, bias, residual, mean, variance
  EXPECT_TRUE(trace.steps[1].inputs[0].is_same(y));
  EXPECT_TRUE(trace.steps[1].inputs[4].is_same(c));
  EXPECT_EQ(trace.steps[2].op, ops::MaxPoolAttributes::id);
  EXPECT_EQ(trace.steps[3].op, ops::ReshapeAttributes::id);
  EXPECT_TRUE(trace.steps[3].inputs[0].is_same(trace.steps[2].outputs[0]));
  EXPECT_TRUE(trace.steps[3].outputs[0].is_same(z));
}

TEST(Trace, NestsAndLeavesBackwardOut) {
  const Tensor x = leaf({3}, 0);
  Trace outer, inner;
  {
    const ScopedTrace a(outer);
    const Tensor y = F::relu(x);
    {
      const ScopedTrace b(inner);
      F::relu(y);
    }
    backward(F::reduce(y, {}));
  }
  EXPECT_EQ(outer.steps.size(), 2u);
  EXPECT_EQ(inner.steps.size(), 1u);
  EXPECT_EQ(current_trace(), nullptr);
}

}  // namespace
}  // namespace graft
