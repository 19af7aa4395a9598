// Pooling and cross-entropy on the device, and pooling's index maths.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/functional/pool.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using ops::square_window;
using test::activation;
using test::labels;
using test::OpCase;
using test::parameter;

std::vector<OpCase> pool_cases() {
  std::vector<OpCase> cases;
  const auto add = [&](std::string name, const Shape& x, auto call) {
    cases.push_back({std::move(name), {activation(x)}, [call](std::span<const Tensor> in) {
                       return std::vector<Tensor>{call(in[0])};
                     }});
  };
  const auto max = [](ops::MaxPoolAttributes a) {
    return [a](const Tensor& x) { return functional::max_pool(x, a); };
  };
  const auto average = [](ops::AveragePoolAttributes a) {
    return [a](const Tensor& x) { return functional::average_pool(x, a); };
  };
  const auto adaptive = [](ops::Spatial out) {
    return [out](const Tensor& x) { return functional::adaptive_average_pool(x, {out}); };
  };
  ops::Window uneven = square_window(3, 2, 1);
  uneven.kernel = {3, 2, 1}, uneven.stride = {1, 2, 1}, uneven.pad_begin = {0, 1, 0},
  uneven.pad_end = {2, 0, 0};
  add("max_k2", {2, 8, 4, 6}, max({square_window(2, 2)}));
  add("max_stem", {2, 16, 7, 8}, max({square_window(3, 2, 1)}));
  add("max_overlapping", {1, 3, 5, 4}, max({square_window(3, 1, 1)}));
  add("max_uneven", {2, 4, 5, 6}, max({uneven}));
  add("max_ceil", {1, 8, 6, 7}, max({square_window(3, 2), true}));
  add("max_dilated", {1, 2, 7, 7}, max({square_window(2, 1, 0, 2)}));
  add("average_k2", {2, 8, 4, 6}, average({square_window(2, 2)}));
  add("average_padded", {2, 3, 5, 5}, average({square_window(3, 2, 1)}));
  add("average_without_pad", {2, 4, 5, 5}, average({square_window(3, 2, 1), false, false}));
  add("average_uneven_ceil", {1, 4, 6, 5}, average({uneven, true, true}));
  add("global", {2, 16, 5, 3}, adaptive({1, 1, 1}));
  add("adaptive_smaller", {2, 4, 7, 5}, adaptive({3, 2, 1}));
  add("adaptive_larger", {1, 8, 3, 2}, adaptive({5, 4, 1}));
  return cases;
}

OpCase loss_case(std::string name, int64_t rows, int64_t classes, bool weighted,
                 functional::CrossEntropyOptions options = {}) {
  OpCase op{std::move(name),
            {activation({rows, classes}, -4, 4), labels(rows, classes)},
            [=](std::span<const Tensor> in) mutable {
              functional::CrossEntropyOptions o = options;
              if (weighted) o.class_weights = in[2];
              return std::vector<Tensor>{functional::cross_entropy(in[0], in[1], o)};
            }};
  if (weighted) op.inputs.push_back(test::fixed(parameter({classes}, 0.2, 2)));
  return op;
}
std::vector<OpCase> loss_cases() {
  OpCase probabilities{"probabilities",
                       {activation({3, 6}, -3, 3), test::fixed(activation({3, 6}, 0.05, 0.3))},
                       [](std::span<const Tensor> in) {
                         return std::vector<Tensor>{
                             functional::cross_entropy(in[0], in[1], {.label_smoothing = 0.2})};
                       }};
  return {loss_case("few_classes", 5, 3, false),
          loss_case("many_classes", 3, 1000, false),
          loss_case("smoothed", 4, 10, false, {.label_smoothing = 0.1}),
          loss_case("weighted", 6, 5, true, {.label_smoothing = 0.1}),
          loss_case("summed", 4, 7, false, {.reduction = ops::Reduction::sum}),
          loss_case("summed_weighted", 4, 7, true, {.reduction = ops::Reduction::sum}),
          loss_case("many_rows", 40, 2, true),
          probabilities};
}

TEST(CudaLoss, ALabelThatIsNoClassGivesNaN) {
  test::TestDevice opened;
  for (const int64_t label : {-1, 3}) {
    const Tensor loss =
        functional::cross_entropy(Tensor::zeros({2, 3}, {.device = test::kCuda}),
                                  to_device(Tensor::of<int64_t>({2}, {1, label}), test::kCuda));
    EXPECT_TRUE(std::isnan(loss.item()));
  }
}

}  // namespace

GRAFT_DEVICE_CASES(Pool, pool_cases());
GRAFT_DEVICE_CASES(CrossEntropy, loss_cases());

}  // namespace graft
