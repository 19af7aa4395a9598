// Reshape, flatten, concat and pad: elements move, nothing is computed.
#include "graft/layers/functional/shape_change.h"

#include <gtest/gtest.h>

#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::fixed;
using test::OpCase;
using test::OpInput;

const std::vector<DType> kAll{DType::bf16, DType::f16, DType::i64,    DType::i32,
                              DType::i8,   DType::u8,  DType::boolean};

OpCase reshape_case(std::string name, const Shape& from, const Shape& to) {
  return {.name = std::move(name),
          .inputs = {activation(from)},
          .call =
              [to](std::span<const Tensor> in) {
                return std::vector<Tensor>{functional::reshape(in[0], to)};
              },
          .forward_dtypes = kAll,
          .keeps_layout = false};
}
OpCase flatten_case(std::string name, const Shape& from, int start) {
  return {.name = std::move(name),
          .inputs = {activation(from)},
          .call =
              [start](std::span<const Tensor> in) {
                return std::vector<Tensor>{functional::flatten(in[0], start)};
              },
          .forward_dtypes = kAll,
          .keeps_layout = false};
}
OpCase concat_case(std::string name, std::vector<OpInput> inputs, int axis) {
  return {.name = std::move(name),
          .inputs = std::move(inputs),
          .call =
              [axis](std::span<const Tensor> in) {
                return std::vector<Tensor>{functional::concat(in, axis)};
              },
          .forward_dtypes = kAll};
}
OpCase pad_case(std::string name, const Shape& x, const ops::PadAttributes& attributes) {
  return {.name = std::move(name),
          .inputs = {activation(x)},
          .call =
              [attributes](std::span<const Tensor> in) {
                return std::vector<Tensor>{functional::pad(in[0], attributes)};
              },
          .forward_dtypes = kAll};
}

std::vector<OpCase> cases() {
  return {
      reshape_case("reshape_image", {2, 3, 4, 5}, {2, 12, 5}),
      reshape_case("reshape_to_image", {6, 20}, {2, 3, 4, 5}),
      reshape_case("reshape_scalar", {1, 1, 1, 1}, Shape{}),
      reshape_case("reshape_one_pixel", {2, 5, 1, 1}, {2, 5}),
      flatten_case("flatten", {2, 3, 2, 3}, 1),
      flatten_case("flatten_pooled", {3, 5, 1, 1}, 1),
      flatten_case("flatten_all", {2, 3, 2}, 0),
      flatten_case("flatten_spatial", {2, 3, 2, 3}, 2),
      concat_case("concat_channels",
                  {activation({2, 3, 4, 3}), activation({2, 1, 4, 3}), activation({2, 4, 4, 3})},
                  1),
      concat_case("concat_batch", {activation({1, 3, 2, 3}), activation({2, 3, 2, 3})}, 0),
      concat_case("concat_columns", {activation({2, 3, 2, 3}), activation({2, 3, 2, 2})}, 3),
      concat_case("concat_one_frozen", {fixed(activation({2, 2, 3, 3})), activation({2, 3, 3, 3})},
                  1),
      concat_case("concat_vectors", {activation({5}), activation({3}), activation({1})}, 0),
      concat_case("concat_single", {activation({2, 3})}, 1),
      pad_case("pad_image", {1, 2, 3, 4}, {{0, 0, 1, 2}, {0, 0, 0, 3}, 0}),
      pad_case("pad_channels", {2, 3, 2, 3}, {{0, 2, 0, 0}, {0, 3, 0, 0}, 0}),
      pad_case("pad_value", {2, 3}, {{1, 0}, {0, 2}, 1}),
      pad_case("pad_crop", {1, 2, 5, 6}, {{0, 0, -1, -2}, {0, 0, -2, 1}, 0}),
      pad_case("pad_volume", {1, 2, 2, 3, 2}, {{0, 0, 1, 0, 2}, {0, 0, 1, 1, 0}, 0}),
      pad_case("pad_nothing", {2, 3}, {{0, 0}, {0, 0}, 0}),
  };
}

GRAFT_OP_CASES(ShapeChange, cases(), "shape_change.safetensors");

TEST(ShapeChange, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3, 4, 4});
  EXPECT_THROW(functional::reshape(x, {2, 3, 4}), Error);
  EXPECT_THROW(functional::flatten(x, 4), Error);
  const std::vector<Tensor> none, wrong_shape{x, Tensor::zeros({2, 3, 4, 5})},
      wrong_type{x, x.to(DType::f64)};
  EXPECT_THROW(functional::concat(none, 0), Error);
  EXPECT_THROW(functional::concat(wrong_shape, 1), Error);
  EXPECT_THROW(functional::concat(wrong_type, 1), Error);
  EXPECT_THROW(functional::pad(x, {{0, 0, 0}, {0, 0, 0}, 0}), Error);
  EXPECT_THROW(functional::pad(x, {{0, 0, -5, 0}, {0, 0, 0, 0}, 0}), Error);
}

}  // namespace
}  // namespace graft
