// Batch norm: training and evaluation, residual and ReLU fused, running statistics.
#include "graft/layers/functional/batch_norm.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::fixed;
using test::OpCase;
using test::OpInput;
using test::parameter;

struct Variant {
  bool training = true, affine = true, residual = false, relu = false, frozen_affine = false,
       fixed_input = false;
  double eps = 1e-5, momentum = 0.1;
};

// Inputs: x, running mean, running variance, then weight and bias, then the residual. Outputs: y
// and the new statistics.
OpCase norm_case(std::string name, const Shape& shape, const Variant& v) {
  const Shape channels{shape[1]};
  OpInput x = activation(shape, -2, 3), weight = parameter(channels, -1.5, 2),
          bias = parameter(channels);
  if (v.fixed_input) x = fixed(x);
  if (v.frozen_affine) weight = fixed(weight), bias = fixed(bias);
  std::vector<OpInput> inputs{x, fixed(parameter(channels)), fixed(parameter(channels, 0.2, 2))};
  if (v.affine) inputs.insert(inputs.end(), {weight, bias});
  if (v.residual) inputs.push_back(activation(shape));
  OpCase op{std::move(name), std::move(inputs), [v](std::span<const Tensor> in) {
              const Tensor mean = in[1].clone(), variance = in[2].clone();
              const Tensor y = functional::batch_norm(
                  in[0], v.affine ? in[3] : Tensor(), v.affine ? in[4] : Tensor(), mean, variance,
                  {v.training, v.momentum, v.eps, v.relu}, v.residual ? in.back() : Tensor());
              return std::vector<Tensor>{y, mean, variance};
            }};
  op.f32_tolerance = 5e-5;
  op.per_sample = !v.training;
  return op;
}

std::vector<OpCase> cases() {
  return {
      norm_case("training", {3, 4, 3, 5}, {}),
      norm_case("training_relu", {2, 3, 4, 3}, {.relu = true}),
      norm_case("training_residual", {2, 3, 3, 3}, {.residual = true}),
      norm_case("training_residual_relu", {2, 5, 3, 4}, {.residual = true, .relu = true}),
      norm_case("training_no_affine", {3, 3, 3, 3}, {.affine = false}),
      norm_case("training_frozen_affine", {3, 3, 3, 3}, {.relu = true, .frozen_affine = true}),
      norm_case("training_image", {2, 3, 4, 4}, {.fixed_input = true}),
      norm_case("training_one_sample", {1, 6, 3, 3}, {}),
      norm_case("training_eps_momentum", {4, 2, 2, 3}, {.eps = 0.1, .momentum = 0.3}),
      norm_case("training_rank2", {7, 5}, {}),
      norm_case("training_line", {2, 3, 7}, {.relu = true}),
      norm_case("training_volume", {2, 3, 2, 3, 2}, {.residual = true, .relu = true}),
      norm_case("training_many_channels", {2, 35, 3, 2}, {.relu = true}),
      norm_case("evaluation", {2, 4, 3, 5}, {.training = false}),
      norm_case("evaluation_relu", {2, 3, 4, 3}, {.training = false, .relu = true}),
      norm_case("evaluation_residual", {1, 3, 3, 3}, {.training = false, .residual = true}),
      norm_case("evaluation_residual_relu", {1, 17, 2, 3},
                {.training = false, .residual = true, .relu = true}),
      norm_case("evaluation_no_affine", {2, 3, 3, 2}, {.training = false, .affine = false}),
      norm_case("evaluation_one_value", {1, 3, 1, 1}, {.training = false}),
      norm_case("evaluation_rank2", {1, 5}, {.training = false}),
      test::kernels_only(
          norm_case("large_training", {4, 72, 9, 7}, {.residual = true, .relu = true})),
      test::kernels_only(norm_case("large_training_map", {2, 5, 40, 41}, {.relu = true})),
      test::kernels_only(norm_case("large_evaluation", {3, 130, 5, 7},
                                   {.training = false, .residual = true, .relu = true})),
  };
}

GRAFT_OP_CASES(BatchNorm, cases(), "batch_norm.safetensors");

TEST(BatchNorm, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3, 2, 2}), c = Tensor::full({3}, 1);
  EXPECT_THROW(functional::batch_norm(Tensor::zeros({1, 3, 1, 1}), c, c, c, c, {.training = true}),
               Error);
  EXPECT_THROW(functional::batch_norm(x, c, c, {}, {}, {}), Error);  // evaluation needs statistics
  EXPECT_THROW(functional::batch_norm(x, Tensor::zeros({2}), c, c, c, {}), Error);
  EXPECT_THROW(functional::batch_norm(x, c, c, c, c, {}, Tensor::zeros({2, 3, 2, 1})), Error);
  EXPECT_THROW(functional::batch_norm(Tensor::zeros({3}), c, c, c, c, {}), Error);
}

// Between two convolutions the result is not kept for backward but made again: the same gradients,
// its memory is free.
TEST(BatchNorm, ResultsAreMadeAgainForBackward) {
  namespace F = functional;
  const auto leaf = [](const Shape& shape, uint64_t stream) {
    const Tensor t = test::distinct_values(shape, -1, 1, stream).to(DType::f32);
    set_requires_grad(t, true);
    return t;
  };
  const Tensor image = test::distinct_values({2, 3, 32, 32}, -1, 1, 0)
                           .to(DType::f32)
                           .to(MemoryFormat::channels_last);
  const Tensor ones = Tensor::full({2, 8, 32, 32}, 1, {.format = MemoryFormat::channels_last});
  const ops::ConvAttributes same{ops::square_window(3, 1, 1)};
  struct Result {
    std::vector<std::vector<double>> gradients;
    int64_t kept;
  };
  const auto result = [&](bool training, bool remade) {
    const std::vector<Tensor> leaves{leaf({8, 3, 3, 3}, 1), leaf({8}, 2), leaf({8}, 3),
                                     leaf({4, 8, 3, 3}, 4)};
    const Tensor mean = Tensor::full({8}, 0.1), variance = Tensor::full({8}, 0.7);
    const int64_t before = cpu_allocator().stats().live_bytes;
    Tensor y = F::batch_norm(F::conv(image, leaves[0], {}, same), leaves[1], leaves[2], mean,
                             variance, {.training = training, .relu = true});
    if (!remade) y = F::mul(y, ones);  // whoever saves this saves its elements
    y = F::conv(y, leaves[3], {}, same);
    Result r{{}, cpu_allocator().stats().live_bytes - before};
    backward(
        F::cross_entropy(F::flatten(F::global_average_pool(y)), Tensor::of<int64_t>({2}, {1, 3})));
    for (const Tensor& t : leaves) r.gradients.push_back(grad_of(t).to_doubles());
    return r;
  };
  for (const bool training : {true, false}) {
    const Result kept = result(training, false), remade = result(training, true);
    EXPECT_EQ(remade.gradients, kept.gradients);
    EXPECT_LT(remade.kept, kept.kept - ones.bytes() / 2);
  }
}

// A channel that is constant has variance 0: the result is the bias, and nothing is infinite.
TEST(BatchNorm, ConstantChannel) {
  const Tensor x = Tensor::full({2, 1, 3, 3}, 7), weight = Tensor::full({1}, 2),
               bias = Tensor::full({1}, -3);
  set_requires_grad(x, true);
  const Tensor y = functional::batch_norm(x, weight, bias, {}, {}, {.training = true});
  for (const double value : y.to_doubles()) EXPECT_EQ(value, -3);
  backward(y, Tensor::full(y.shape(), 1));
  for (const double value : grad_of(x).to_doubles()) EXPECT_NEAR(value, 0, 1e-4);
}

// The statistics of a large mean: deviations from a value near it keep the variance, where E[x^2] -
// E[x]^2 loses it in float32.
TEST(BatchNorm, LargeMean) {
  Tensor x = test::distinct_values({4, 2, 5, 5}, 9999, 10001, 0).to(DType::f32);
  const Tensor mean = Tensor::zeros({2}), variance = Tensor::zeros({2});
  functional::batch_norm(x, {}, {}, mean, variance, {.training = true, .momentum = 1});
  const std::vector<double> values = x.to_doubles();
  for (int64_t c = 0; c < 2; ++c) {
    double sum = 0, squares = 0;
    const auto each = [&](auto&& f) {
      for (int64_t n = 0; n < 4; ++n)
        for (int64_t i = 0; i < 25; ++i) f(values[static_cast<size_t>((n * 2 + c) * 25 + i)]);
    };
    each([&](double v) { sum += v; });
    each([&](double v) { squares += (v - sum / 100) * (v - sum / 100); });
    EXPECT_NEAR(mean.to_doubles()[static_cast<size_t>(c)], sum / 100, 2e-3);
    EXPECT_NEAR(variance.to_doubles()[static_cast<size_t>(c)], squares / 99, 1e-3 * squares / 99);
  }
}

}  // namespace
}  // namespace graft
