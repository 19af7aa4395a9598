// grid_sample and roi_align on the device.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/layers/functional/image.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using ops::SampleMode;
using ops::SamplePadding;
using test::activation;
using test::OpCase;

OpCase sampled(std::string name, const Shape& x, const Shape& grid, double span,
               const ops::GridSampleAttributes& attributes) {
  OpCase op{.name = std::move(name),
            .inputs = {activation(x), test::matched(grid, -span, span)},
            .call = [attributes](std::span<const Tensor> in) {
              return std::vector<Tensor>{functional::grid_sample(in[0], in[1], attributes)};
            }};
  op.forward_dtypes = {};  // a place in 16 bits is another place
  op.f32_tolerance = 1e-4;
  return op;
}
std::vector<OpCase> grid_cases() {
  std::vector<OpCase> cases{sampled("line", {2, 2, 7}, {2, 5, 1}, 1.3, {}),
                            sampled("volume", {1, 2, 2, 3, 4}, {1, 2, 2, 3, 3}, 1.1, {}),
                            sampled("few_pixels_often_read", {1, 3, 2, 2}, {1, 20, 20, 2}, 1, {})};
  const std::pair<const char*, SampleMode> modes[] = {{"nearest", SampleMode::nearest},
                                                      {"linear", SampleMode::linear},
                                                      {"cubic", SampleMode::cubic}};
  const std::pair<const char*, SamplePadding> paddings[] = {
      {"zeros", SamplePadding::zeros},
      {"border", SamplePadding::border},
      {"reflection", SamplePadding::reflection}};
  for (const auto& [mode_name, mode] : modes)
    for (const auto& [padding_name, padding] : paddings)
      cases.push_back(sampled(str(mode_name, "_", padding_name), {2, 2, 4, 5}, {2, 3, 4, 2}, 1.6,
                              {mode, padding, padding != SamplePadding::border}));
  return cases;
}

OpCase boxes(std::string name, const ops::RoiAlignAttributes& attributes) {
  return {std::move(name), {activation({2, 2, 5, 6})}, [attributes](std::span<const Tensor> in) {
            const Tensor places = Tensor::of<double>(
                {3, 4}, {0.3, 0.7, 3.9, 5.2, 1.0, 2.0, 2.5, 3.0, -1.0, -0.6, 7.5, 3.3});
            return std::vector<Tensor>{functional::roi_align(
                in[0], places, Tensor::of<int32_t>({3}, {1, 0, 1}), attributes)};
          }};
}
std::vector<OpCase> roi_cases() {
  return {
      boxes("mean", {.height = 2, .width = 3}),
      boxes("mean_by_ratio", {.height = 2, .width = 2, .sampling_ratio = 2, .spatial_scale = 0.7}),
      boxes("whole_cells", {.height = 3, .width = 1, .half_pixel = false}),
      boxes("maxima", {.height = 2, .width = 2, .sampling_ratio = 2, .max = true})};
}

// A box of no image, and one of an absurd size, are NaN: nothing is read for them.
TEST(CudaRoiAlign, BoxesOfNoImageAreNaN) {
  test::TestDevice opened;
  const Tensor x = to_device(Tensor::full({1, 1, 3, 3}, 2), test::kCuda),
               images = to_device(Tensor::of<int64_t>({3}, {0, 1, 0}), test::kCuda);
  const Tensor places =
      to_device(Tensor::of<float>({3, 4}, {0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 1e9F, 2}), test::kCuda);
  const std::vector<double> y = functional::roi_align(x, places, images, {}).to_doubles();
  EXPECT_EQ(y[0], 2);
  EXPECT_TRUE(std::isnan(y[1]) && std::isnan(y[2]));
}

// The places of maxima, in the order of rows and of columns, and values put back there.
TEST(CudaPoolPlaces, AreTheHosts) {
  test::TestDevice opened;
  const Tensor x =
      test::distinct_values({2, 3, 4, 5}, -1, 1, 3).to(DType::f32).to(MemoryFormat::channels_last);
  for (const bool column_major : {false, true}) {
    const auto pooled = [&](const Tensor& t) {
      return functional::max_pool_with_indices(t, {.window = ops::square_window(2, 2)},
                                               column_major);
    };
    const auto host = pooled(x), there = pooled(to_device(x, test::kCuda));
    EXPECT_EQ(there.indices.to_doubles(), host.indices.to_doubles());
    EXPECT_EQ(functional::max_unpool(there.y, there.indices, x.shape()).to_doubles(),
              functional::max_unpool(host.y, host.indices, x.shape()).to_doubles());
  }
}

}  // namespace

GRAFT_DEVICE_CASES(GridSample, grid_cases());
GRAFT_DEVICE_CASES(RoiAlign, roi_cases());

}  // namespace graft
