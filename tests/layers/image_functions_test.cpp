// Transposed convolution, resizing, sampling and the rarer pools.
#include <gtest/gtest.h>

#include "graft/layers/functional/image.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using namespace functional;
using ops::SampleMode;
using ops::SamplePadding;
using ops::Spatial;
using test::activation;
using test::OpCase;
using test::OpInput;
using test::parameter;

struct Transposed {
  Spatial stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1}, output_padding{0, 0, 0};
  int64_t groups = 1;
  bool bias = false;
};
OpCase transposed(std::string name, const Shape& x, const Shape& weight, const Transposed& t) {
  ops::ConvAttributes attributes;
  attributes.groups = t.groups;
  attributes.window.stride = t.stride;
  attributes.window.dilation = t.dilation;
  attributes.window.pad_begin = attributes.window.pad_end = t.padding;
  OpCase op{.name = std::move(name),
            .inputs = {activation(x), parameter(weight)},
            .call = [=](std::span<const Tensor> in) {
              return std::vector<Tensor>{conv_transpose(
                  in[0], in[1], in.size() > 2 ? in[2] : Tensor(), attributes, t.output_padding)};
            }};
  if (t.bias) op.inputs.push_back(parameter({weight[1] * t.groups}));
  return op;
}

OpCase of_image(std::string name, const Shape& x, std::function<Tensor(const Tensor&)> function,
                double low = -1, double high = 1) {
  return {.name = std::move(name),
          .inputs = {activation(x, low, high)},
          .call = [function](std::span<const Tensor> in) {
            return std::vector<Tensor>{function(in[0])};
          }};
}
OpCase interpolated(std::string name, const Shape& x, std::vector<int64_t> extents, ResizeMode mode,
                    bool align_corners = false) {
  return of_image(std::move(name), x,
                  [=](const Tensor& t) { return interpolate(t, extents, mode, align_corners); });
}
// [1,1,4,5] by scales, to the floor of the scaled extents.
OpCase resized(std::string name, double rows, double columns, const ResizeOptions& options,
               std::array<double, 4> roi = {0, 0, 1, 1}) {
  const std::vector<ResizeAxis> axes{
      {2, static_cast<int64_t>(rows * 4), rows, roi[0], roi[2]},
      {3, static_cast<int64_t>(columns * 5), columns, roi[1], roi[3]}};
  return of_image("resize_" + std::move(name), {1, 1, 4, 5},
                  [=](const Tensor& t) { return resize(t, axes, options); });
}

OpCase sampled(std::string name, const Shape& x, const Shape& grid, double span,
               const ops::GridSampleAttributes& attributes) {
  OpCase op{.name = std::move(name),
            .inputs = {activation(x), test::matched(grid, -span, span)},
            .call = [attributes](std::span<const Tensor> in) {
              return std::vector<Tensor>{grid_sample(in[0], in[1], attributes)};
            }};
  op.forward_dtypes = {};  // a place in 16 bits is another place
  op.f32_tolerance = 1e-4;
  return op;
}

OpCase boxes(std::string name, const ops::RoiAlignAttributes& attributes) {
  return of_image(std::move(name), {2, 2, 5, 6}, [attributes](const Tensor& x) {
    const Tensor places =
        Tensor::of<double>({3, 4}, {0.3, 0.7, 3.9, 5.2, 1.0, 2.0, 2.5, 3.0, -1.0, -0.6, 7.5, 3.3});
    return roi_align(x, places, Tensor::of<int32_t>({3}, {1, 0, 1}), attributes);
  });
}

ops::Window line_window(int64_t kernel, int64_t stride) {
  ops::Window window;
  window.axes = 1;
  window.kernel = {kernel, 1, 1};
  window.stride = {stride, 1, 1};
  return window;
}

std::vector<OpCase> convolutions() {
  return {
      transposed("conv_transpose", {2, 3, 4, 3}, {3, 2, 3, 3}, {}),
      test::kernels_only(transposed("large_conv_transpose", {1, 36, 12, 13}, {36, 32, 3, 3},
                                    {.padding = {1, 1, 0}})),
      transposed("conv_transpose_up", {1, 4, 3, 4}, {4, 3, 2, 2},
                 {.stride = {2, 2, 1}, .bias = true}),
      transposed(
          "conv_transpose_padded", {2, 3, 4, 3}, {3, 4, 3, 3},
          {.stride = {2, 2, 1}, .padding = {1, 1, 0}, .output_padding = {1, 1, 0}, .bias = true}),
      transposed("conv_transpose_dilated", {1, 2, 3, 4}, {2, 3, 2, 3},
                 {.stride = {1, 2, 1}, .padding = {1, 1, 0}, .dilation = {2, 2, 1}}),
      transposed("conv_transpose_groups", {2, 4, 3, 3}, {4, 3, 3, 3},
                 {.stride = {2, 2, 1}, .padding = {1, 1, 0}, .groups = 2, .bias = true}),
      transposed(
          "conv_transpose_line", {2, 3, 5}, {3, 2, 4},
          {.stride = {3, 1, 1}, .padding = {1, 0, 0}, .output_padding = {2, 0, 0}, .bias = true}),
      transposed("conv_transpose_volume", {1, 2, 2, 3, 2}, {2, 2, 2, 2, 3}, {.stride = {2, 1, 2}}),
  };
}

std::vector<OpCase> resizes() {
  using C = ResizeCoordinates;
  using R = NearestRounding;
  return {
      interpolated("interpolate_nearest", {1, 2, 3, 4}, {7, 5}, ResizeMode::nearest),
      interpolated("interpolate_linear", {2, 3, 5, 4}, {3, 7}, ResizeMode::linear),
      interpolated("interpolate_corners", {1, 2, 3, 4}, {6, 1}, ResizeMode::linear, true),
      interpolated("interpolate_cubic", {1, 2, 4, 5}, {7, 3}, ResizeMode::cubic),
      interpolated("interpolate_volume", {1, 2, 2, 3, 2}, {3, 2, 5}, ResizeMode::linear),
      resized("nearest", 1.7, 0.6, {}),
      resized("nearest_ceil", 0.6, 2.3, {.coordinates = C::align_corners, .rounding = R::ceil}),
      resized("nearest_floor", 1.5, 0.8, {.coordinates = C::asymmetric, .rounding = R::floor}),
      resized("nearest_prefer_ceil", 2.0, 0.5, {.rounding = R::round_prefer_ceil}),
      resized("linear", 1.7, 0.6, {.mode = ResizeMode::linear}),
      resized("linear_symmetric", 1.6, 0.7,
              {.mode = ResizeMode::linear, .coordinates = C::half_pixel_symmetric}),
      resized("linear_pytorch", 0.25, 0.2,
              {.mode = ResizeMode::linear, .coordinates = C::pytorch_half_pixel}),
      resized("linear_antialias", 0.6, 0.4, {.mode = ResizeMode::linear, .antialias = true}),
      resized("cubic", 1.7, 0.8, {.mode = ResizeMode::cubic}),
      resized("cubic_excluded", 1.7, 0.8,
              {.mode = ResizeMode::cubic, .cubic_a = -0.5, .exclude_outside = true}),
      resized("cubic_antialias", 0.6, 0.5, {.mode = ResizeMode::cubic, .antialias = true}),
      resized("cubic_asymmetric", 1.3, 2.0,
              {.mode = ResizeMode::cubic, .coordinates = C::asymmetric}),
      resized(
          "crop", 1, 1,
          {.mode = ResizeMode::linear, .coordinates = C::tf_crop_and_resize, .extrapolation = 3.5},
          {0.4, -0.3, 1.2, 0.9}),
  };
}

std::vector<OpCase> samples() {
  return {
      sampled("grid_linear", {2, 3, 4, 5}, {2, 3, 2, 2}, 1.3, {}),
      sampled("grid_linear_corners", {1, 2, 4, 5}, {1, 3, 2, 2}, 1.3, {.align_corners = true}),
      sampled("grid_border", {1, 2, 4, 5}, {1, 3, 2, 2}, 1.3, {.padding = SamplePadding::border}),
      sampled("grid_reflection", {1, 2, 4, 5}, {1, 4, 3, 2}, 2.6,
              {.padding = SamplePadding::reflection}),
      sampled("grid_reflection_corners", {1, 2, 4, 5}, {1, 4, 3, 2}, 2.6,
              {.padding = SamplePadding::reflection, .align_corners = true}),
      sampled("grid_nearest", {1, 2, 4, 5}, {1, 3, 2, 2}, 1.3, {.mode = SampleMode::nearest}),
      sampled("grid_cubic", {1, 2, 4, 5}, {1, 3, 2, 2}, 1.3, {.mode = SampleMode::cubic}),
      sampled("grid_cubic_border", {1, 2, 4, 5}, {1, 3, 2, 2}, 1.3,
              {.mode = SampleMode::cubic, .padding = SamplePadding::border, .align_corners = true}),
      sampled("grid_volume", {1, 2, 2, 3, 4}, {1, 2, 1, 3, 3}, 1.3, {}),
      of_image("affine_grid", {2, 2, 3},
               [](const Tensor& t) {
                 return affine_grid(t, std::vector<int64_t>{3, 4});
               }),
      of_image("affine_grid_volume", {1, 3, 4},
               [](const Tensor& t) {
                 return affine_grid(t, std::vector<int64_t>{2, 3, 2}, true);
               }),
      boxes("roi_align", {3, 2, 2, 0.75, true}),
      boxes("roi_align_output_half", {3, 2, 0, 0.75, false}),
      of_image("average_pool_dilated", {1, 2, 5, 6},
               [](const Tensor& t) {
                 ops::AveragePoolAttributes attributes{ops::square_window(2)};
                 attributes.window.dilation = {2, 3, 1};
                 return average_pool(t, attributes);
               }),
      of_image("global_max_pool", {2, 3, 4, 3}, [](const Tensor& t) { return global_max_pool(t); }),
      of_image(
          "lp_pool", {1, 2, 5, 4},
          [](const Tensor& t) { return lp_pool(t, ops::square_window(2), 2); }, 0.2, 2),
      of_image(
          "lp_pool_3", {1, 2, 5, 6},
          [](const Tensor& t) { return lp_pool(t, ops::square_window(3, 2), 3); }, 0.2, 2),
      of_image(
          "lp_pool_ceil", {1, 2, 6},
          [](const Tensor& t) { return lp_pool(t, line_window(3, 2), 2, true); }, 0.2, 2),
      of_image(
          "global_lp_pool", {2, 3, 4, 2}, [](const Tensor& t) { return global_lp_pool(t, 2); }, 0.2,
          2),
      of_image("max_unpool", {1, 2, 4, 6},
               [](const Tensor& t) {
                 const PoolWithIndices pooled =
                     max_pool_with_indices(t, {ops::square_window(2, 2)});
                 return max_unpool(pooled.y, pooled.indices, t.shape());
               }),
  };
}

std::vector<OpCase> cases() {
  std::vector<OpCase> all = convolutions();
  for (const auto& more : {resizes(), samples()}) all.insert(all.end(), more.begin(), more.end());
  return all;
}
GRAFT_OP_CASES(ImageFunction, cases(), "image.safetensors", "unary", "binary", "conv", "max_pool",
               "average_pool");

TEST(ImageFunction, ConvTransposePadsBelowZero) {
  ops::ConvAttributes attributes;
  attributes.window.pad_begin = {-1, 0, 0};
  attributes.window.pad_end = {1, 0, 0};
  const Tensor x = Tensor::of<float>({1, 1, 3}, {1, 2, 3}),
               weight = Tensor::of<float>({1, 1, 2}, {1, 10});
  EXPECT_EQ(conv_transpose(x, weight, {}, attributes).to_doubles(),
            (std::vector<double>{0, 1, 12, 23}));
  EXPECT_EQ(conv_transpose(x, weight, {}, {}, {2, 0, 0}).to_doubles(),
            (std::vector<double>{1, 12, 23, 30, 0, 0}));
}

TEST(ImageFunction, ResizeRoundsIntegers) {
  const Tensor x = Tensor::of<uint8_t>({1, 1, 3}, {0, 255, 1});
  const Tensor y = interpolate(x, std::vector<int64_t>{6}, ResizeMode::cubic);
  EXPECT_EQ(y.dtype(), DType::u8);
  EXPECT_EQ(y.to_doubles(), (std::vector<double>{0, 67, 224, 224, 68, 0}));
}

// The largest weighted corner, as ONNX's test of the mode "max".
TEST(ImageFunction, RoiAlignOfMaxima) {
  const Tensor x = Tensor::of<double>({1, 1, 2, 2}, {1, 2, 3, 8}),
               box = Tensor::of<double>({1, 4}, {0, 0, 1, 1});
  const Tensor y = roi_align(x, box, Tensor::of<int64_t>({1}, {0}), {1, 1, 1, 1, false, true});
  EXPECT_EQ(y.to_doubles(), (std::vector<double>{2}));
  OpCase op = of_image("roi_max", {2, 2, 5, 6}, {});
  op.call = boxes("", {3, 2, 2, 0.8, true, true}).call;
  test::expect_gradient(op);
}

TEST(ImageFunction, PoolPlaces) {
  const Tensor x = Tensor::of<float>({1, 2, 2, 3}, {0, 5, 1, 2, 3, 4, 9, 5, 1, 2, 3, 4});
  ops::MaxPoolAttributes attributes{ops::square_window(2, 1)};
  EXPECT_EQ(max_pool_with_indices(x, attributes).indices.to_doubles(),
            (std::vector<double>{1, 1, 6, 7}));
  EXPECT_EQ(max_pool_with_indices(x, attributes, true).indices.to_doubles(),
            (std::vector<double>{2, 2, 6, 8}));
}

TEST(ImageFunction, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 4, 3, 3}), grid = Tensor::zeros({1, 2, 2, 3});
  EXPECT_THROW(conv_transpose(x, Tensor::zeros({3, 2, 2, 2}), {}), Error);
  EXPECT_THROW(conv_transpose(x, Tensor::zeros({4, 2, 2}), {}), Error);
  EXPECT_THROW(conv_transpose(x, Tensor::zeros({4, 2, 2, 2}), Tensor::zeros({3})), Error);
  EXPECT_THROW(conv_transpose(x, Tensor::zeros({4, 2, 2, 2}), {}, {ops::square_window(2, 1, 3)}),
               Error);
  EXPECT_THROW(resize(x, std::vector<ResizeAxis>{{4, 3, 1}}), Error);
  EXPECT_THROW(resize(x, std::vector<ResizeAxis>{{3, 3, 0}}), Error);
  EXPECT_THROW(resize(x, std::vector<ResizeAxis>{{3, -1, 1}}), Error);
  EXPECT_THROW(resize(x, std::vector<ResizeAxis>{{3, 3, 1e-9}},
                      {.mode = ResizeMode::linear, .antialias = true}),
               Error);
  EXPECT_THROW(interpolate(x, std::vector<int64_t>{3}, ResizeMode::linear), Error);
  EXPECT_THROW(grid_sample(x, grid), Error);
  EXPECT_THROW(affine_grid(Tensor::zeros({1, 2, 2}), std::vector<int64_t>{3, 3}), Error);
  const Tensor box = Tensor::of<float>({1, 4}, {0, 0, 1, 1}),
               huge = Tensor::of<float>({1, 4}, {0, 0, 1e9F, 1});
  EXPECT_THROW(roi_align(x, box, Tensor::of<int64_t>({1}, {1}), {}), Error);
  EXPECT_THROW(roi_align(x, box, Tensor::of<int64_t>({2}, {0, 0}), {}), Error);
  EXPECT_THROW(roi_align(x, huge, Tensor::of<int64_t>({1}, {0}), {}), Error);
  EXPECT_THROW(lp_pool(x, ops::square_window(2), 0), Error);
  EXPECT_THROW(max_unpool(x, Tensor::full(x.shape(), 99, {.dtype = DType::i64}), x.shape()), Error);
}

}  // namespace
}  // namespace graft
