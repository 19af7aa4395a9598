// Transpose, slice, expand, tile, padding modes and the other functions that only move elements.
#include "graft/layers/functional/movement.h"

#include <gtest/gtest.h>

#include "graft/core/tensor/allocation_limit.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using functional::PadMode;
using functional::SliceRange;
using test::activation;
using test::OpCase;
using Axes = std::vector<int>;
using Amounts = std::vector<int64_t>;

const std::vector<DType> kEvery{DType::bf16, DType::f16, DType::i64,    DType::i32,
                                DType::i8,   DType::u8,  DType::boolean};

OpCase moving(std::string name, const Shape& x, std::function<Tensor(const Tensor&)> function,
              bool keeps_layout = true) {
  return {.name = std::move(name),
          .inputs = {activation(x)},
          .call = [function](
                      std::span<const Tensor> in) { return std::vector<Tensor>{function(in[0])}; },
          .forward_dtypes = kEvery,
          .keeps_layout = keeps_layout};
}
OpCase transposing(std::string name, const Shape& x, const Axes& order) {
  return moving(std::move(name), x,
                [order](const Tensor& t) { return functional::transpose(t, order); });
}
OpCase slicing(std::string name, const Shape& x, const SliceRange& range) {
  return moving(std::move(name), x,
                [range](const Tensor& t) { return functional::slice(t, range); });
}
OpCase padding(std::string name, const Shape& x, const Amounts& begin, const Amounts& end,
               PadMode mode) {
  return moving(std::move(name), x,
                [=](const Tensor& t) { return functional::pad(t, begin, end, mode); });
}

std::vector<OpCase> cases() {
  using namespace functional;
  return {
      transposing("transpose_matrix", {3, 5}, {}),
      transposing("transpose_image", {2, 3, 4, 5}, {0, 2, 3, 1}),
      transposing("transpose_swap", {2, 3, 4, 5}, {1, 0, -1, -2}),
      transposing("transpose_rank5", {2, 3, 2, 3, 2}, {4, 2, 0, 3, 1}),
      slicing("slice_image", {2, 3, 5, 6}, {{1, 1, -4}, {100, 4, -1}, {1, 2, 3}, {1, 2, 1}}),
      slicing("slice_back", {4, 7}, {{-1, -2}, {-100, 0}, {}, {-2, -2}}),
      slicing("slice_empty", {3, 4}, {{2}, {2}, {1}}),
      moving("expand_rows", {5},
             [](const Tensor& t) {
               return expand(t, {3, 1});
             }),
      moving("expand_both", {3, 1},
             [](const Tensor& t) {
               return expand(t, {2, 1, 4});
             }),
      moving("tile", {2, 3},
             [](const Tensor& t) {
               return tile(t, Amounts{2, 3});
             }),
      moving("reverse", {3, 4, 2},
             [](const Tensor& t) {
               return reverse(t, Axes{0, -1});
             }),
      moving("squeeze", {2, 1, 3, 1}, [](const Tensor& t) { return squeeze(t); }),
      moving("unsqueeze", {2, 3},
             [](const Tensor& t) {
               return unsqueeze(t, Axes{1, -1});
             }),
      padding("pad_edge", {1, 2, 3, 4}, {0, 0, 0, 2}, {0, 0, 3, 1}, PadMode::edge),
      padding("pad_reflect", {1, 2, 3, 4}, {0, 0, 0, 2}, {0, 0, 2, 1}, PadMode::reflect),
      padding("pad_wrap", {1, 2, 3, 4}, {0, 0, 0, 2}, {0, 0, 3, 1}, PadMode::wrap),
      padding("pad_edge_crop", {1, 2, 5, 4}, {0, 0, -1, 1}, {0, 0, -2, 2}, PadMode::edge),
      moving(
          "depth_to_space_crd", {2, 8, 2, 3},
          [](const Tensor& t) { return depth_to_space(t, 2, true); }, false),
      moving(
          "depth_to_space_dcr", {1, 12, 2, 3}, [](const Tensor& t) { return depth_to_space(t, 2); },
          false),
      moving(
          "space_to_depth", {1, 3, 4, 6}, [](const Tensor& t) { return space_to_depth(t, 2); },
          false),
      moving("triu", {2, 4, 5}, [](const Tensor& t) { return trilu(t, true, 1); }),
      moving("tril", {5, 4}, [](const Tensor& t) { return trilu(t, false, -1); }),
      moving("cast", {3, 4}, [](const Tensor& t) { return cast(cast(t, DType::f64), t.dtype()); }),
  };
}
GRAFT_OP_CASES(Movement, cases(), "movement.safetensors");

TEST(Movement, Split) {
  const Tensor x = Tensor::of<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<Tensor> parts = functional::split(x, Amounts{2, 0, 1}, -1);
  EXPECT_EQ(parts[0].to_doubles(), (std::vector<double>{1, 2, 4, 5}));
  EXPECT_EQ(parts[1].shape(), (Shape{2, 0}));
  EXPECT_EQ(parts[2].to_doubles(), (std::vector<double>{3, 6}));
  EXPECT_THROW(functional::split(x, Amounts{2, 2}, 1), Error);
  EXPECT_THROW(functional::split(x, Amounts{4, -1}, 1), Error);
}

TEST(Movement, SliceLimits) {
  const int64_t most = std::numeric_limits<int64_t>::max(),
                least = std::numeric_limits<int64_t>::min();
  const Tensor x = Tensor::of<int32_t>({4}, {0, 1, 2, 3});
  const auto sliced = [&](int64_t start, int64_t end, int64_t step) {
    return functional::slice(x, {{start}, {end}, {}, {step}}).to_doubles();
  };
  EXPECT_EQ(sliced(0, most, most), (std::vector<double>{0}));
  EXPECT_EQ(sliced(most, least, -1), (std::vector<double>{3, 2, 1, 0}));
  EXPECT_EQ(sliced(-1, least, least), (std::vector<double>{3}));
  EXPECT_EQ(sliced(least, most, 3), (std::vector<double>{0, 3}));
  EXPECT_EQ(sliced(2, 1, 1), (std::vector<double>{}));
  EXPECT_THROW(sliced(0, 1, 0), Error);
  EXPECT_THROW(functional::slice(x, {{0, 0}, {1, 1}}), Error);
  EXPECT_THROW(functional::slice(x, {{0}, {1}, {1}}), Error);
}

TEST(Movement, Patterns) {
  EXPECT_EQ(functional::range(1.0, 2.0, 0.25, DType::f32).to_doubles(),
            (std::vector<double>{1, 1.25, 1.5, 1.75}));
  EXPECT_EQ(functional::range(int64_t{10}, int64_t{4}, int64_t{-3}, DType::i32).to_doubles(),
            (std::vector<double>{10, 7}));
  EXPECT_EQ(functional::range(int64_t{1}, int64_t{1}, int64_t{1}, DType::i64).numel(), 0);
  EXPECT_EQ(functional::eye(2, 3, 1, DType::f64).to_doubles(),
            (std::vector<double>{0, 1, 0, 0, 0, 1}));
  EXPECT_THROW(functional::range(0.0, 1.0, 0.0, DType::f32), Error);
  EXPECT_THROW(functional::range(0.0, 1e30, 1.0, DType::f32), Error);
}

TEST(Movement, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3, 4, 4});
  EXPECT_THROW(functional::transpose(x, Axes{0, 1, 2}), Error);
  EXPECT_THROW(functional::transpose(x, Axes{0, 1, 1, 2}), Error);
  EXPECT_THROW(functional::expand(x, {5}), Error);
  EXPECT_THROW(functional::tile(x, Amounts{1, 1}), Error);
  EXPECT_THROW(functional::tile(x, Amounts{1, 1, 1, int64_t{1} << 61}), Error);
  EXPECT_THROW(functional::squeeze(x, Axes{0}), Error);
  EXPECT_THROW(functional::unsqueeze(x, Axes{0, 0}), Error);
  EXPECT_THROW(functional::depth_to_space(x, 2), Error);
  EXPECT_THROW(functional::space_to_depth(x, 3), Error);
  EXPECT_THROW(functional::pad(x, Amounts{0, 0, -4, 0}, Amounts{0, 0, 1, 0}, PadMode::edge), Error);
  EXPECT_THROW(functional::take(x, {{{.from = 4, .whole = true}}}), Error);
  EXPECT_THROW(functional::take(x, {{{.from = 0, .whole = true}}}), Error);
}

// What an op is made from counts like its result: a tile of nothing lists as many positions as it
// repeats first.
TEST(Movement, ListsOfPositionsCountAgainstTheAllocationLimit) {
  const ScopedAllocationLimit limit(1000);
  const Tensor x = Tensor::zeros({2, 2});
  EXPECT_THROW(functional::tile(x, Amounts{1 << 20, 0}), Error);
  EXPECT_EQ(functional::tile(x, Amounts{3, 0}).shape(), Shape({6, 0}));
}

}  // namespace
}  // namespace graft
