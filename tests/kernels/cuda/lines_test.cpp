// What walks lines of an axis on the device: softmax, normalize, extremes' places, the k largest,
// running sums.
#include "graft/kernels/cuda/custom/lines.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graft/layers/functional/normalization.h"
#include "graft/layers/functional/reduction.h"
#include "graft/layers/functional/softmax.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;
using Inputs = std::span<const Tensor>;

template <class F>
OpCase one(std::string name, test::OpInput x, F function) {
  return {std::move(name), {std::move(x)}, [function](Inputs in) {
            return std::vector<Tensor>{function(in[0])};
          }};
}

std::vector<OpCase> softmax_cases() {
  std::vector<OpCase> cases;
  for (const bool log : {false, true}) {
    const auto along = [log](int axis) {
      return [=](const Tensor& t) {
        return log ? functional::log_softmax(t, axis) : functional::softmax(t, axis);
      };
    };
    const std::string kind = log ? "log_" : "";
    cases.push_back(one(kind + "rows", activation({3, 7}, -3, 3), along(1)));
    cases.push_back(one(kind + "channels", activation({2, 5, 3, 2}, -3, 3), along(1)));
    cases.push_back(one(kind + "channels_in_groups", activation({1, 64, 2, 2}, -3, 3), along(1)));
    cases.push_back(one(kind + "columns", activation({2, 3, 2, 40}, -3, 3), along(3)));
    cases.push_back(one(kind + "batch", activation({4, 3}, -3, 3), along(0)));
    cases.push_back(one(kind + "long_rows", activation({2, 1037}, -3, 3), along(-1)));
    cases.push_back(one(kind + "one_class", activation({3, 1}), along(1)));
    cases.push_back(one(kind + "wide_range", activation({2, 9}, -60, 60), along(1)));
  }
  return cases;
}

std::vector<OpCase> normalize_cases() {
  const auto normalized = [](int axis, bool center) {
    return [=](const Tensor& t) { return functional::normalize(t, axis, 1e-5, center); };
  };
  return {
      one("rows", activation({3, 7}), normalized(1, true)),
      one("rows_in_groups", activation({2, 64}, 2, 3), normalized(1, true)),
      one("root_mean_square", activation({4, 33}), normalized(1, false)),
      one("long_rows", activation({2, 1100}), normalized(-1, true)),
      one("image", activation({2, 3, 4, 5}), normalized(1, true)),
      one("instances", activation({2, 3, 4, 5}), normalized(2, true)),
      {"layer_norm",
       {activation({2, 3, 8}), activation({8}), activation({8})},
       [](Inputs in) {
         return std::vector<Tensor>{functional::layer_norm(in[0], in[1], in[2], -1, 1e-5)};
       }},
      {"group_norm", {activation({2, 6, 3, 2}), activation({6}), activation({6})}, [](Inputs in) {
         return std::vector<Tensor>{functional::group_norm(in[0], 3, in[1], in[2], 1e-5)};
       }}};
}

std::vector<OpCase> ordering_cases() {
  const auto largest = [](int64_t k, int axis, bool top) {
    return [=](const Tensor& t) { return functional::topk(t, k, axis, top).values; };
  };
  const auto sums = [](int axis, bool exclusive, bool reverse) {
    return [=](const Tensor& t) { return functional::cumulative_sum(t, axis, exclusive, reverse); };
  };
  return {one("topk_rows", activation({3, 9}), largest(4, 1, true)),
          one("topk_smallest", activation({2, 5, 3, 4}), largest(2, 1, false)),
          one("topk_columns", activation({6, 5}), largest(3, 0, true)),
          one("topk_long", activation({1, 1100}), largest(5, 1, true)),
          one("running_rows", activation({3, 9}), sums(1, false, false)),
          one("running_image", activation({2, 3, 4, 5}), sums(2, true, true)),
          one("running_long", activation({2, 600}), sums(1, false, true)),
          one("running_long_exclusive", activation({1, 520}), sums(1, true, false))};
}

// Every element of a tensor is on one line, in the order of its axis.
TEST(CudaLines, CoverTheTensor) {
  for (const auto format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const Tensor t = Tensor::empty({2, 3, 4, 5}, {.format = format});
    for (int axis = 0; axis < 4; ++axis) {
      const cuda::Lines lines = cuda::Lines::of(t, axis);
      std::vector<int> seen(static_cast<size_t>(t.numel()));
      for (int64_t line = 0; line < lines.count; ++line)
        for (int64_t i = 0; i < lines.extent; ++i)
          ++seen.at(static_cast<size_t>(lines.begin(line) + i * lines.step));
      EXPECT_EQ(seen, std::vector<int>(seen.size(), 1)) << axis;
    }
  }
}

// The places of extremes and of the k largest, with equal elements and NaNs, in short and long
// lines.
TEST(CudaOrdering, PlacesAreTheHosts) {
  test::TestDevice opened;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor equal = Tensor::of<float>({2, 6}, {3, 1, 3, -2, 1, 3, nan, 2, nan, 2, 0, 0}),
         many = Tensor::empty({2, 1200}, {.dtype = DType::i32});
  for (int64_t i = 0; i < many.numel(); ++i)
    many.mutable_data<int32_t>()[i] = static_cast<int32_t>(i * 37 % 101);
  for (const Tensor& x : {equal, equal.to(DType::bf16), many, many.to(DType::f32)})
    for (const bool largest : {true, false}) {
      for (const bool last : {true, false}) {
        const auto place = [&](const Tensor& t, int axis) {
          return (largest ? functional::argmax : functional::argmin)(t, axis, true, last)
              .to_doubles();
        };
        for (const int axis : {0, 1})
          EXPECT_EQ(place(to_device(x, test::kCuda), axis), place(x, axis));
      }
      for (const int64_t k : {1, 3, 6}) {
        const functional::TopK host = functional::topk(x, k, 1, largest),
                               there = functional::topk(to_device(x, test::kCuda), k, 1, largest);
        EXPECT_EQ(there.indices.to_doubles(), host.indices.to_doubles())
            << k << (largest ? " largest" : " smallest");
      }
    }
  const Tensor whole = Tensor::of<int64_t>({7}, {1, -2, 3, 4, 5, -6, 7});
  EXPECT_EQ(functional::cumulative_sum(to_device(whole, test::kCuda), 0, false, true).to_doubles(),
            functional::cumulative_sum(whole, 0, false, true).to_doubles());
}

}  // namespace

GRAFT_DEVICE_CASES(Softmax, softmax_cases());
GRAFT_DEVICE_CASES(Normalize, normalize_cases());
GRAFT_DEVICE_CASES(Ordering, ordering_cases());

}  // namespace graft
