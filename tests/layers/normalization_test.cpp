// Layer, group, instance and the other norms of a sample.
#include "graft/layers/functional/normalization.h"

#include <gtest/gtest.h>

#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;
using test::OpInput;
using Function = std::function<Tensor(const Tensor& x, const Tensor& weight, const Tensor& bias)>;

OpCase norm(std::string name, const Shape& x, const std::vector<Shape>& affine, Function function) {
  OpCase op{.name = std::move(name),
            .inputs = {activation(x, -2, 3)},
            .call = [function](std::span<const Tensor> in) {
              return std::vector<Tensor>{function(in[0], in.size() > 1 ? in[1] : Tensor(),
                                                  in.size() > 2 ? in[2] : Tensor())};
            }};
  for (const Shape& shape : affine) op.inputs.push_back(test::parameter(shape, -2, 3));
  return op;
}

std::vector<OpCase> cases() {
  using namespace functional;
  const auto layer = [](int axis, double eps = 1e-5) {
    return [=](const Tensor& x, const Tensor& w, const Tensor& b) {
      return layer_norm(x, w, b, axis, eps);
    };
  };
  const auto group = [](int64_t groups) {
    return [=](const Tensor& x, const Tensor& w, const Tensor& b) {
      return group_norm(x, groups, w, b);
    };
  };
  const auto lrn = [](const LocalResponseNormOptions& o) {
    return [=](const Tensor& x, const Tensor&, const Tensor&) { return local_response_norm(x, o); };
  };
  const auto lp = [](int axis, int p) {
    return
        [=](const Tensor& x, const Tensor&, const Tensor&) { return lp_normalization(x, axis, p); };
  };
  return {
      norm("layer_norm", {3, 7}, {{7}, {7}}, layer(-1)),
      norm("layer_norm_axes", {2, 3, 4}, {{3, 4}, {3, 4}}, layer(1, 1e-2)),
      norm("layer_norm_image", {2, 3, 4, 3}, {}, layer(1)),
      norm(
          "rms_norm", {3, 7}, {{7}},
          [](const Tensor& x, const Tensor& w, const Tensor&) { return rms_norm(x, w, -1, 1e-4); }),
      norm("group_norm", {2, 6, 3, 2}, {{6}, {6}}, group(3)),
      norm("group_norm_line", {2, 4, 5}, {}, group(2)),
      norm(
          "instance_norm", {2, 3, 4, 3}, {{3}, {3}},
          [](const Tensor& x, const Tensor& w, const Tensor& b) { return instance_norm(x, w, b); }),
      norm("local_response_norm", {2, 7, 3, 2}, {}, lrn({3, 0.2, 0.6, 1.5})),
      norm("local_response_norm_even", {1, 5, 6}, {}, lrn({4, 0.1, 0.75, 2})),
      norm("lp_normalization", {3, 4, 2}, {}, lp(1, 2)),
      norm("lp_normalization_1", {3, 4}, {}, lp(-1, 1)),
      norm("mean_variance", {2, 3, 4, 3}, {},
           [](const Tensor& x, const Tensor&, const Tensor&) {
             return mean_variance_normalization(x);
           }),
  };
}
GRAFT_OP_CASES(Normalization, cases(), "normalization.safetensors", "unary", "binary",
               "average_pool");

TEST(Normalization, ZerosStayZero) {
  EXPECT_EQ(functional::lp_normalization(Tensor::zeros({2, 3})).to_doubles(),
            std::vector<double>(6, 0.0));
}

TEST(Normalization, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 4, 3}), weight = Tensor::zeros({5});
  EXPECT_THROW(functional::layer_norm(x, weight, {}), Error);
  EXPECT_THROW(functional::layer_norm(x, {}, {}, 3), Error);
  EXPECT_THROW(functional::layer_norm(x, Tensor::zeros({2, 2, 4, 3}), {}), Error);
  EXPECT_THROW(functional::group_norm(x, 3, {}, {}), Error);
  EXPECT_THROW(functional::group_norm(x, 2, weight, {}), Error);
  EXPECT_THROW(functional::instance_norm(x, {}, weight), Error);
  EXPECT_THROW(functional::lp_normalization(x, 0, 3), Error);
  EXPECT_THROW(functional::local_response_norm(x, {.size = 0}), Error);
}

}  // namespace
}  // namespace graft
