// Convolution in one to three spatial axes: all three passes, through the tape.
#include "graft/layers/functional/conv.h"

#include <gtest/gtest.h>

#include "graft/core/runtime/random.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using test::activation;
using test::fixed;
using test::OpCase;
using test::OpInput;
using test::parameter;

OpCase conv_case(std::string name, OpInput x, OpInput weight, const ops::ConvAttributes& attributes,
                 bool bias = false) {
  std::vector<OpInput> inputs{x, weight};
  if (bias) inputs.push_back(parameter({weight.shape[0]}));
  return {std::move(name), std::move(inputs), [attributes, bias](std::span<const Tensor> in) {
            return std::vector<Tensor>{
                functional::conv(in[0], in[1], bias ? in[2] : Tensor(), attributes)};
          }};
}

ops::ConvAttributes square(int64_t stride, int64_t padding = 0, int64_t dilation = 1,
                           int64_t groups = 1) {
  return {ops::square_window(1, stride, padding, dilation), groups};
}

ops::ConvAttributes uneven() {  // differs on every axis and side
  ops::ConvAttributes a;
  a.window.stride = {2, 1, 1};
  a.window.dilation = {1, 2, 1};
  a.window.pad_begin = {0, 3, 0};
  a.window.pad_end = {2, 1, 0};
  return a;
}

// Sizes around and beyond the blocks that kernels work in.
std::vector<OpCase> large_cases() {
  std::vector<OpCase> list{
      conv_case("large_k3", activation({1, 24, 7, 9}), parameter({48, 24, 3, 3}), square(1, 1),
                true),
      conv_case("large_k3_stride2", activation({1, 24, 11, 10}), parameter({40, 24, 3, 3}),
                square(2, 1)),
      conv_case("large_k1", activation({1, 130, 6, 5}), parameter({67, 130, 1, 1}), square(1),
                true),
      conv_case("large_k1_stride2", activation({1, 64, 9, 8}), parameter({33, 64, 1, 1}),
                square(2)),
      conv_case("large_stem", activation({1, 3, 14, 11}), parameter({64, 3, 7, 7}), square(2, 3)),
      conv_case("large_groups", activation({1, 48, 5, 5}), parameter({64, 12, 3, 3}),
                square(1, 1, 1, 4)),
      conv_case("large_narrow_groups", activation({2, 24, 7, 9}), parameter({24, 4, 3, 3}),
                square(1, 1, 1, 6), true),
      conv_case("large_narrow_groups_stride2", activation({1, 36, 8, 7}), parameter({36, 2, 3, 3}),
                square(2, 1, 1, 18)),
      conv_case("large_depthwise_5x5", activation({2, 21, 9, 10}), parameter({21, 1, 5, 5}),
                square(2, 2, 1, 21)),
      conv_case("large_depthwise_7x7", activation({1, 16, 8, 9}), parameter({16, 1, 7, 7}),
                square(1, 6, 2, 16)),
      conv_case("large_depthwise", activation({1, 72, 8, 9}), parameter({72, 1, 3, 3}),
                square(2, 1, 1, 72)),
      conv_case("large_map_k3", activation({1, 32, 12, 12}), parameter({33, 32, 3, 3}),
                square(1, 1), true),
      conv_case("large_wide_row", activation({1, 8, 2, 131}), parameter({16, 8, 3, 3}),
                square(1, 1)),
      conv_case("large_many_tiles_k3", activation({48, 32, 3, 3}), parameter({33, 32, 3, 3}),
                square(1, 1), true),
  };
  list.back().f32_tolerance =
      4e-5;  // Winograd's weight gradient, see kernels/cpu/winograd_backward_weight.cpp
  for (OpCase& op : list) op = test::kernels_only(std::move(op)), op.forward_dtypes = {DType::bf16};
  return list;
}

std::vector<OpCase> cases() {
  std::vector<OpCase> list{
      conv_case("k1", activation({2, 5, 4, 3}), parameter({7, 5, 1, 1}), square(1)),
      conv_case("k1_stride2", activation({2, 5, 5, 4}), parameter({7, 5, 1, 1}), square(2)),
      conv_case("k3_pad1_bias", activation({2, 3, 5, 4}), parameter({4, 3, 3, 3}), square(1, 1),
                true),
      conv_case("k3_stride2_odd", activation({2, 3, 7, 5}), parameter({5, 3, 3, 3}), square(2, 1)),
      conv_case("k3_stride2_even", activation({1, 3, 6, 8}), parameter({5, 3, 3, 3}), square(2, 1)),
      conv_case("k3_no_padding", activation({3, 2, 3, 3}), parameter({4, 2, 3, 3}), square(1)),
      conv_case("k7_stride2_stem", activation({1, 3, 11, 9}), parameter({4, 3, 7, 7}),
                square(2, 3)),
      conv_case("k3_dilated", activation({1, 2, 7, 8}), parameter({3, 2, 3, 3}), square(1, 2, 2),
                true),
      conv_case("k3_dilated_stride", activation({2, 2, 9, 8}), parameter({3, 2, 3, 3}),
                square(2, 3, 3)),
      conv_case("groups2", activation({2, 4, 5, 5}), parameter({6, 2, 3, 3}), square(1, 1, 1, 2),
                true),
      conv_case("depthwise", activation({2, 5, 5, 4}), parameter({5, 1, 3, 3}), square(1, 1, 1, 5)),
      conv_case("depthwise_multiplier2_stride2", activation({1, 3, 6, 5}), parameter({6, 1, 3, 3}),
                square(2, 1, 1, 3), true),
      conv_case("asymmetric", activation({2, 3, 6, 5}), parameter({4, 3, 3, 2}), uneven(), true),
      conv_case("kernel_covers_padded_input", activation({2, 2, 2, 3}), parameter({3, 2, 4, 5}),
                square(1, 1)),
      conv_case("padding_exceeds_kernel", activation({1, 2, 3, 2}), parameter({2, 2, 1, 1}),
                square(1, 2), true),
      conv_case("stride_exceeds_kernel", activation({2, 2, 8, 7}), parameter({3, 2, 2, 2}),
                square(3)),
      conv_case("one_pixel", activation({1, 6, 1, 1}), parameter({5, 6, 1, 1}), square(1), true),
      conv_case("one_channel", activation({1, 1, 6, 6}), parameter({1, 1, 3, 3}), square(1, 1)),
      conv_case("many_channels", activation({2, 33, 3, 3}), parameter({35, 33, 1, 1}), square(1)),
      conv_case("many_channels_k3", activation({1, 17, 4, 3}), parameter({18, 17, 3, 3}),
                square(1, 1)),
      conv_case("many_pixels", activation({1, 4, 19, 23}), parameter({3, 4, 3, 3}), square(1, 1)),
      conv_case("line", activation({2, 3, 9}), parameter({4, 3, 3}), square(2, 1), true),
      conv_case("line_dilated_groups", activation({1, 4, 10}), parameter({6, 2, 3}),
                square(1, 2, 2, 2)),
      conv_case("volume", activation({1, 2, 4, 3, 5}), parameter({3, 2, 2, 3, 3}), uneven(), true),
      conv_case("frozen_weight", activation({2, 3, 4, 4}), fixed(parameter({4, 3, 3, 3})),
                square(1, 1)),
      conv_case("image_input", fixed(activation({2, 3, 6, 6})), parameter({4, 3, 3, 3}),
                square(2, 1), true),
  };
  // One channel or one pixel has both memory orders; what stands beside it has not.
  list.push_back(
      conv_case("grey_image", activation({2, 1, 6, 5}), parameter({4, 1, 3, 3}), square(1, 1)));
  list.push_back(conv_case("one_output_channel", activation({2, 3, 4, 5}), parameter({1, 3, 3, 3}),
                           square(1, 1), true));
  list.push_back(
      conv_case("one_output_pixel", activation({2, 3, 3, 4}), parameter({5, 3, 3, 4}), square(1)));
  list.push_back(conv_case("one_input_pixel", activation({2, 5, 1, 1}), parameter({3, 5, 3, 3}),
                           square(1, 2)));
  OpCase bias_only = conv_case("bias_only", fixed(activation({2, 3, 4, 4})),
                               fixed(parameter({4, 3, 3, 3})), square(1, 1), true);
  list.push_back(bias_only);
  for (OpCase& op : large_cases()) list.push_back(std::move(op));
  list[2].forward_dtypes = {DType::bf16, DType::f16, DType::i32,
                            DType::i64};  // the reference takes integers too
  return test::per_sample(std::move(list));
}

GRAFT_OP_CASES(Conv, cases(), "conv.safetensors");

// Any small problem that the shape rule admits.
OpCase random_case(int number) {
  CountedRandom random(3, RandomPurpose::synthetic, 0, static_cast<uint64_t>(number));
  const auto from = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random.below(static_cast<uint64_t>(high - low + 1)));
  };
  ops::ConvAttributes a;
  a.groups = from(1, 3) == 1 ? from(1, 4) : 1;
  const int64_t in = from(1, 9), out = from(1, 20), r = from(1, 4), s = from(1, 4);
  a.window.stride = {from(1, 3), from(1, 3), 1};
  a.window.dilation = {from(1, 2), from(1, 2), 1};
  a.window.pad_begin = {from(0, 3), from(0, 3), 0};
  a.window.pad_end = {from(0, 3), from(0, 3), 0};
  const int64_t h = from(1, 5) + a.window.dilation[0] * (r - 1),
                w = from(1, 9) + a.window.dilation[1] * (s - 1);
  OpCase op = conv_case(str("random ", number), activation({from(1, 3), in * a.groups, h, w}),
                        parameter({out * a.groups, in, r, s}), a, from(0, 1) == 1);
  op.forward_dtypes = {};
  op.per_sample = true;
  return op;
}

TEST(Conv, RandomProblems) {
  for (int number = 0; number < 60; ++number) test::expect_kernels_agree(random_case(number));
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 3, 4, 4}), weight = Tensor::zeros({4, 3, 3, 3});
  EXPECT_THROW(functional::conv(x, Tensor::zeros({4, 2, 3, 3}), {}), Error);
  EXPECT_THROW(functional::conv(x, Tensor::zeros({4, 3, 5, 5}), {}),
               Error);  // larger than the input
  EXPECT_THROW(functional::conv(x, weight, Tensor::zeros({3})), Error);
  EXPECT_THROW(functional::conv(x, weight, {}, square(0)), Error);
  EXPECT_THROW(functional::conv(x, weight, {}, square(1, -1)), Error);
  EXPECT_THROW(functional::conv(x, weight, {}, square(1, 0, 1, 2)), Error);
  EXPECT_THROW(functional::conv(Tensor::zeros({1, 3}), Tensor::zeros({4, 3}), {}), Error);
  try {
    functional::conv(x, Tensor::zeros({4, 2, 3, 3}), {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_NE(std::string(error.what()).find("[1,3,4,4]"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace graft
