// Gather and scatter by slices, elements and tuples; one_hot, nonzero, compress.
#include "graft/layers/functional/indexing.h"

#include <gtest/gtest.h>

#include "graft/layers/functional/binary.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using ops::ScatterReduction;
using test::activation;
using test::OpCase;
using test::OpInput;

OpInput indices(const Shape& shape, int64_t high) {
  return {shape, test::Role::labels, false, 0, static_cast<double>(high)};
}

OpCase gathering(std::string name, const Shape& x, OpInput places,
                 std::function<Tensor(const Tensor&, const Tensor&)> function) {
  return {.name = std::move(name),
          .inputs = {activation(x), std::move(places)},
          .call =
              [function](std::span<const Tensor> in) {
                return std::vector<Tensor>{function(in[0], in[1])};
              },
          .forward_dtypes = {DType::bf16, DType::f16, DType::i64, DType::u8, DType::boolean}};
}
OpCase scattering(std::string name, const Shape& x, OpInput places, ScatterReduction reduction) {
  const Shape updates = places.shape;
  OpCase op{
      .name = std::move(name),
      .inputs = {activation(x), std::move(places), activation(updates)},
      .call = [reduction](std::span<const Tensor> in) {
        return std::vector<Tensor>{functional::scatter_elements(in[0], in[1], in[2], 0, reduction)};
      }};
  op.forward_dtypes = {DType::f16, DType::i64, DType::i32};
  return op;
}

std::vector<OpCase> cases() {
  const auto rows = [](const Tensor& x, const Tensor& i) { return functional::gather(x, i); };
  const auto tuples = [](const Tensor& x, const Tensor& i) { return functional::gather_nd(x, i); };
  const OpInput matrix = activation({4, 3});
  return {
      gathering("gather_rows", {5, 3}, indices({4}, 5), rows),
      gathering("gather_embedding", {7, 4}, indices({2, 3}, 7), rows),
      gathering("gather_channels", {2, 5, 3, 2}, indices({4}, 5),
                [](const Tensor& x, const Tensor& i) { return functional::gather(x, i, -3); }),
      gathering("gather_scalar", {3, 4}, indices(Shape{}, 3), rows),
      gathering("gather_elements", {4, 3}, indices({2, 3}, 4),
                [](const Tensor& x, const Tensor& i) { return functional::gather_elements(x, i); }),
      gathering(
          "gather_elements_last", {2, 3, 5}, indices({2, 2, 7}, 5),
          [](const Tensor& x, const Tensor& i) { return functional::gather_elements(x, i, -1); }),
      gathering("gather_nd", {3, 3, 4}, indices({5, 2}, 3), tuples),
      gathering("gather_nd_batch", {2, 3, 4}, indices({2, 5, 1}, 3),
                [](const Tensor& x, const Tensor& i) { return functional::gather_nd(x, i, 1); }),
      {.name = "scatter_elements",
       .inputs = {activation({3, 3}), activation({2, 3})},
       .call =
           [](std::span<const Tensor> in) {
             return std::vector<Tensor>{functional::scatter_elements(
                 in[0], Tensor::of<int64_t>({2, 3}, {1, 0, -1, 0, 2, 1}), in[1])};
           }},
      scattering("scatter_elements_add", {3, 3}, indices({4, 3}, 3), ScatterReduction::add),
      scattering("scatter_elements_mul", {3, 4}, indices({2, 4}, 3), ScatterReduction::mul),
      scattering("scatter_elements_max", {3, 4}, indices({2, 4}, 3), ScatterReduction::max),
      scattering("scatter_elements_min", {3, 4}, indices({2, 4}, 3), ScatterReduction::min),
      {.name = "scatter_nd",
       .inputs = {matrix, activation({2, 3})},
       .call =
           [](std::span<const Tensor> in) {
             return std::vector<Tensor>{
                 functional::scatter_nd(in[0], Tensor::of<int32_t>({2, 1}, {2, 0}), in[1])};
           }},
      {.name = "scatter_nd_add",
       .inputs = {activation({4, 3, 2}), indices({5, 1}, 4), activation({5, 3, 2})},
       .call =
           [](std::span<const Tensor> in) {
             return std::vector<Tensor>{
                 functional::scatter_nd(in[0], in[1], in[2], ScatterReduction::add)};
           }},
      {.name = "compress",
       .inputs = {matrix},
       .call =
           [](std::span<const Tensor> in) {
             return std::vector<Tensor>{
                 functional::compress(in[0], Tensor::of<bool>({3}, {true, false, true}), 0)};
           }},
  };
}
GRAFT_OP_CASES(Indexing, cases(), "indexing.safetensors");

// Zeros among the factors, and the last of several updates.
TEST(Indexing, ScatterGradientsWithZerosAndDuplicates) {
  const Tensor places = Tensor::of<int64_t>({3}, {0, 1, 1});
  OpCase op{.name = "duplicates",
            .inputs = {activation({3}), activation({3})},
            .call = [&](std::span<const Tensor> in) {
              return std::vector<Tensor>{functional::scatter_elements(in[0], places, in[1])};
            }};
  test::expect_gradient(op);
  op.call = [&](std::span<const Tensor> in) {
    const Tensor mask = Tensor::of<double>({3}, {0, 1, 0});
    return std::vector<Tensor>{functional::scatter_elements(
        in[0], places, functional::mul(in[1], mask), 0, ScatterReduction::mul)};
  };
  test::expect_gradient(op);
}

TEST(Indexing, OneHotAndNonZero) {
  const Tensor off = Tensor::scalar(2), on = Tensor::scalar(5);
  const Tensor hot = functional::one_hot(Tensor::of<int64_t>({3}, {1, -1, 7}), 3, off, on);
  EXPECT_EQ(hot.shape(), (Shape{3, 3}));
  EXPECT_EQ(hot.to_doubles(), (std::vector<double>{2, 5, 2, 2, 2, 5, 2, 2, 2}));
  EXPECT_EQ(functional::one_hot(Tensor::of<float>({2}, {0, 1}), 2, off, on, 0).to_doubles(),
            (std::vector<double>{5, 2, 2, 5}));
  EXPECT_EQ(functional::hardmax(Tensor::of<float>({2, 3}, {1, 3, 3, 2, 0, 1})).to_doubles(),
            (std::vector<double>{0, 1, 0, 1, 0, 0}));
  const Tensor places = functional::nonzero(Tensor::of<float>({2, 3}, {0, 1, 0, 2, 0, 3}));
  EXPECT_EQ(places.shape(), (Shape{2, 3}));
  EXPECT_EQ(places.to_doubles(), (std::vector<double>{0, 1, 1, 1, 0, 2}));
}

TEST(Indexing, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({3, 4}), far = Tensor::of<int64_t>({1}, {3}),
               below = Tensor::of<int64_t>({1}, {-4});
  EXPECT_THROW(functional::gather(x, far), Error);
  EXPECT_THROW(functional::gather(x, below), Error);
  EXPECT_THROW(functional::gather(x, far.to(DType::f32)), Error);
  EXPECT_THROW(functional::gather(x, far, 2), Error);
  EXPECT_THROW(functional::gather_elements(x, far), Error);
  EXPECT_THROW(functional::gather_elements(x, Tensor::zeros({1, 5}, {.dtype = DType::i64})), Error);
  EXPECT_THROW(functional::gather_nd(x, Tensor::zeros({1, 3}, {.dtype = DType::i64})), Error);
  EXPECT_THROW(functional::gather_nd(x, Tensor::zeros({2, 1}, {.dtype = DType::i64}), 1), Error);
  EXPECT_THROW(functional::scatter_nd(x, far.reshape({1, 1}), Tensor::zeros({1, 4})), Error);
  EXPECT_THROW(functional::scatter_nd(x, Tensor::zeros({1, 1}, {.dtype = DType::i64}),
                                      Tensor::zeros({1, 3})),
               Error);
  EXPECT_THROW(functional::scatter_elements(x, Tensor::zeros({1, 4}, {.dtype = DType::i64}),
                                            Tensor::zeros({1, 4}, {.dtype = DType::f64})),
               Error);
  EXPECT_THROW(functional::compress(x, Tensor::full({4}, 1, {.dtype = DType::boolean}), 0), Error);
}

}  // namespace
}  // namespace graft
