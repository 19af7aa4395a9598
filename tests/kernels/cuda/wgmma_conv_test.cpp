// Convolution by the instructions of sm_90a, run on the emulator beside the reference.
#include <gtest/gtest.h>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/cuda/custom/pixel_boxes.h"
#include "graft/kernels/cuda/emulator/tensor_map.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/registry.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/kernels/cuda/wgmma_cases.h"

namespace graft {
namespace {

using ops::ConvAttributes;
using ops::square_window;
using test::EmulatedDevice;
using test::kCuda;
using test::Libraries;
using test::OpCase;

constexpr auto kHopper = Libraries::Capability::hopper;

class WgmmaConvOnDevice : public ::testing::TestWithParam<OpCase> {};
TEST_P(WgmmaConvOnDevice, AgreesWithReference) {
  const std::set<std::string> ran =
      test::expect_emulated_agrees(GetParam(), {nullptr, nullptr, kHopper});
  for (const char* kernel :
       {"warpgroup forward", "warpgroup backward-data", "warpgroup backward-weight"})
    EXPECT_TRUE(ran.contains(kernel)) << kernel;
  for (const char* kernel :
       {"tensor-core forward", "tensor-core backward-data", "tensor-core backward-weight"})
    EXPECT_FALSE(ran.contains(kernel)) << kernel;
}
INSTANTIATE_TEST_SUITE_P(Conv, WgmmaConvOnDevice, ::testing::ValuesIn(test::wgmma_conv_cases()),
                         test::op_case_name);

// Of many shapes, forward and through the phases of dx: a list of pixels walks as WindowMap, which
// is compared with the definition, has them.
void expect_walk(const cuda::WindowMap& window, int64_t images) {
  const cuda::PixelWindow pixels{cuda::PixelAxis::of(window.rows),
                                 cuda::PixelAxis::of(window.columns)};
  ASSERT_TRUE(pixels.rows.fits(window.h) && pixels.columns.fits(window.w));
  alignas(16) static std::byte data[16];
  const int listed = static_cast<int>(images) * window.rows.positions * window.columns.positions;
  const gpu::PixelMap encoded = pixels.map(data, images, window.h, window.w, 8, listed);
  ASSERT_EQ(cuda::emulator::refuses(encoded), "");
  const cuda::emulator::HostTensorMap map(encoded);
  for (const int first : {0, listed / 3, listed - 1})
    for (int r = 0; r < window.rows.taps; ++r)
      for (int s = 0; s < window.columns.taps; ++s) {
        const cuda::PixelPlace at = pixels.place(0, first, r, s);
        ASSERT_TRUE(at.offset_w >= 0 && at.offset_w <= 255 && at.offset_h >= 0 &&
                    at.offset_h <= 255);
        for (int row = 0; first + row < listed; ++row) {
          const auto there = cuda::emulator::row_of(
              map, {{at.c, at.w, at.h, at.n}, at.offset_w, at.offset_h}, row);
          const int64_t place =
              there.data ? (static_cast<const std::byte*>(there.data) - data) / 2 : -1;
          ASSERT_EQ(place, window.at(window.pixel(first + row), {r, s, 0}))
              << "pixel " << first + row << ", tap " << r << ", " << s;
        }
      }
}
TEST(PixelWindow, WalksAsTheWindowIsDefined) {
  for (const int64_t stride : {1, 2, 3})
    for (const int64_t pad : {0, 1, 3})
      for (const int64_t dilation : {1, 2})
        for (const int64_t kernel : {1, 2, 3}) {
          const Shape x{2, 8, 9, 11}, filters{8, 8, kernel, kernel + 1};
          ConvAttributes attributes{square_window(kernel, stride, pad, dilation)};
          attributes.window.kernel[1] = kernel + 1;
          const Shape y = ops::conv_output_shape(x, filters, attributes);
          const int p = static_cast<int>(y[2]), q = static_cast<int>(y[3]);
          expect_walk({cuda::forward_axis(p, kernel, stride, pad, dilation),
                       cuda::forward_axis(q, kernel + 1, stride, pad, dilation), 9, 11, 8},
                      2);
          for (int64_t phase_h = 0; phase_h < stride; ++phase_h)
            for (int64_t phase_w = 0; phase_w < stride; ++phase_w) {
              const auto rows = cuda::PhaseAxis::of(9, phase_h, kernel, stride, pad, dilation),
                         columns =
                             cuda::PhaseAxis::of(11, phase_w, kernel + 1, stride, pad, dilation);
              if (rows.axis.taps > 0 && columns.axis.taps > 0)
                expect_walk({rows.axis, columns.axis, p, q, 8}, 2);
            }
        }
}
TEST(PixelWindow, KnowsWhatAMapCannotSay) {
  const auto fits = [](int64_t extent, int64_t taps, int64_t stride, int64_t pad,
                       int64_t dilation) {
    const int64_t positions = (extent + 2 * pad - dilation * (taps - 1) - 1) / stride + 1;
    return cuda::PixelAxis::of(cuda::forward_axis(positions, taps, stride, pad, dilation))
        .fits(extent);
  };
  EXPECT_TRUE(fits(224, 7, 2, 3, 1));
  EXPECT_TRUE(fits(300, 2, 1, 0, 127));
  EXPECT_FALSE(fits(300, 2, 1, 129, 1)) << "a corner below -128";
  EXPECT_FALSE(fits(600, 2, 1, 0, 200)) << "a corner far from the end";
  EXPECT_FALSE(fits(300, 4, 1, 128, 100)) << "taps further than 255";
  EXPECT_FALSE(fits(300, 1, 9, 0, 1)) << "steps longer than 8";
}

Tensor image(const Shape& shape, double low, double high, uint64_t stream) {
  return test::distinct_values(shape, low, high, stream)
      .to(DType::bf16)
      .to(MemoryFormat::channels_last);
}

// Bias, residual and activation in one launch; weights in both orders.
TEST(WgmmaConv, PlansRunTheFusedPass) {
  for (const auto activation :
       {ops::FusedActivation::none, ops::FusedActivation::relu, ops::FusedActivation::relu6}) {
    const MemoryFormat format = activation == ops::FusedActivation::relu
                                    ? MemoryFormat::contiguous
                                    : MemoryFormat::channels_last;
    const Tensor x = image({2, 8, 5, 6}, -1, 1, 1), residual = image({2, 16, 5, 6}, -3, 9, 4);
    const Tensor weight = test::distinct_values({16, 8, 3, 3}, -0.5, 0.5, 2)
                              .to(DType::bf16)
                              .to(DType::f32)
                              .to(format),
                 bias = test::distinct_values({16}, -1, 1, 3).to(DType::f32);
    const ops::FusedConvAttributes attributes{{square_window(3, 1, 1)}, activation};
    const auto run = [&](Device device, DType dtype) {
      const Tensor x_there = to_device(x.to(dtype), device), w = to_device(weight, device),
                   b = to_device(bias, device), r = to_device(residual.to(dtype), device);
      Tensor y =
          Tensor::empty(residual.shape(),
                        {.dtype = dtype, .format = MemoryFormat::channels_last, .device = device});
      kernels_for<ops::FusedConvKernels>(x_there).forward(
          current_context(), {x_there, w, nullptr, &b, &r, attributes, y});
      return y.to_doubles();
    };
    const std::vector<double> expected = run({}, DType::f32);
    EmulatedDevice emulated({nullptr, nullptr, kHopper});
    EXPECT_LE(test::relative_error(run(kCuda, DType::bf16), expected), 8e-3);
    EXPECT_EQ(emulated.driver.kernels_run().back(), "warpgroup forward");
  }
}

// The gradient of a weight in either order, in one part of pixels and in several.
TEST(WgmmaConv, GivesGradientsOfWeightsInBothOrders) {
  for (const int64_t edge : {5, 24}) {
    const Tensor x = image({1, 8, edge, edge}, -1, 1, 1), dy = image({1, 16, edge, edge}, -1, 1, 2);
    const ConvAttributes attributes{square_window(3, 1, 1)};
    const auto gradient = [&](Device device, DType dtype, MemoryFormat format) {
      const Tensor x_there = to_device(x.to(dtype), device),
                   dy_there = to_device(dy.to(dtype), device);
      Tensor dweight = Tensor::empty({16, 8, 3, 3}, {.format = format, .device = device});
      kernels_for<ops::ConvKernels>(x_there).backward_weight(
          current_context(), {x_there, dy_there, attributes, &dweight, nullptr});
      return dweight.to_doubles();
    };
    const std::vector<double> expected = gradient({}, DType::f32, MemoryFormat::contiguous);
    for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
      EmulatedDevice emulated({nullptr, nullptr, kHopper});
      EXPECT_LE(test::relative_error(gradient(kCuda, DType::bf16, format), expected),
                1e-5);  // sums in float32, stored in float32
      EXPECT_EQ(emulated.driver.kernels_run().front(), "warpgroup backward-weight");
    }
  }
}

// The names of the forward kernels for bf16 images that do not decline, and why cuda_wgmma does.
struct Choice {
  std::vector<std::string> takers;
  std::string reason = "not registered";
};
Choice choice(const Shape& x_shape, const Shape& weight_shape, const ConvAttributes& attributes,
              Libraries::Capability capability = kHopper, DType dtype = DType::bf16) {
  EmulatedDevice emulated({nullptr, nullptr, capability});
  const Tensor x = to_device(image(x_shape, -1, 1, 1).to(dtype), kCuda),
               weight = to_device(Tensor::zeros(weight_shape), kCuda);
  Tensor y =
      Tensor::empty(ops::conv_output_shape(x_shape, weight_shape, attributes),
                    {.dtype = dtype, .format = MemoryFormat::channels_last, .device = kCuda});
  const ops::ConvForwardArgs args{x, weight, nullptr, attributes, y};
  Choice result;
  for (const auto& kernel : kernels_for<ops::ConvKernels>(x).forward.candidates()) {
    const char* reason = kernel.declines(current_context(), args);
    if (!reason) result.takers.push_back(kernel.name);
    if (std::string(kernel.name) == "cuda_wgmma") result.reason = reason ? reason : "";
  }
  return result;
}
TEST(WgmmaConv, SaysWhyItDeclines) {
  const ConvAttributes plain{square_window(1, 1, 0)};
  EXPECT_EQ(choice({1, 8, 4, 4}, {8, 8, 1, 1}, plain).takers,
            (std::vector<std::string>{"cuda_wgmma", "cuda_tensor", "cuda_direct"}));
  EXPECT_EQ(choice({1, 8, 4, 4}, {8, 8, 1, 1}, plain, Libraries::Capability::ampere).reason,
            "the GPU is not of compute capability 9.0");
  EXPECT_EQ(choice({1, 12, 4, 4}, {8, 12, 1, 1}, plain).reason,
            "channels or filters are no multiple of eight");
  EXPECT_EQ(choice({1, 8, 4, 4}, {12, 8, 1, 1}, plain).reason,
            "channels or filters are no multiple of eight");
  EXPECT_EQ(choice({1, 8, 4, 4}, {8, 8, 1, 1}, plain, kHopper, DType::f32).reason,
            "tensor cores take only bf16 and f16");
  EXPECT_EQ(choice({1, 8, 20, 20}, {8, 8, 1, 1}, {square_window(1, 9, 0)}).reason,
            "the copy engine's lists of pixels do not reach over the window");
}

// A tensor map that the driver refuses is an Error as every call's, and nothing is left.
TEST(WgmmaConv, EachCallOfTheDriverFailsOnce) {
  const auto run = [](cuda::emulator::FakeDriver& driver) {
    cuda::Backend backend(driver);
    const Tensor x = to_device(image({1, 8, 4, 4}, -1, 1, 1), kCuda),
                 weight = to_device(Tensor::zeros({8, 8, 3, 3}), kCuda);
    Tensor dx = Tensor::empty_like(x), dweight = Tensor::empty_like(weight);
    const ConvAttributes attributes{square_window(3, 1, 1)};
    kernels_for<ops::ConvKernels>(x).backward_data(current_context(), {x, weight, attributes, dx});
    kernels_for<ops::ConvKernels>(x).backward_weight(current_context(),
                                                     {x, x, attributes, &dweight, nullptr});
    backend.device(0).synchronize();
  };
  const auto prepare = [](cuda::emulator::FakeDriver& driver) {
    driver.set_capability(9, 0), driver.skip_kernels();
  };
  cuda::emulator::FakeDriver counted;
  prepare(counted);
  run(counted);
  int refused_maps = 0;
  for (int64_t n = 0; n < counted.calls(); ++n) {
    cuda::emulator::FakeDriver driver;
    prepare(driver);
    driver.fail_call(n, gpu::Status::Code::failed);
    try {
      run(driver);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::resource) << error.what();
      refused_maps +=
          std::string_view(error.what()).find("encoding a tensor map") != std::string_view::npos;
    }
    EXPECT_EQ(driver.live_objects(), 0) << "call " << n;
  }
  EXPECT_EQ(refused_maps, 4);  // two of each pass
}

TEST(WgmmaConv, AnEnvironmentVariableSaysWhereItStands) {
  const auto order = [](const char* value) {
    setenv("GRAFT_CUDA_WGMMA", value, 1);
    EmulatedDevice emulated;
    unsetenv("GRAFT_CUDA_WGMMA");
    std::string names;
    for (const auto& kernel : kernels_for<ops::ConvKernels>(kCuda).forward.candidates())
      names += str(names.empty() ? "" : " ", kernel.name);
    return names;
  };
  const std::string behind = order("");
  EXPECT_NE(behind.find("cudnn cuda_wgmma cuda_tensor cuda_direct"), std::string::npos) << behind;
  EXPECT_NE(order("first").find("cuda_wgmma cudnn cuda_tensor cuda_direct"), std::string::npos);
  EXPECT_EQ(order("off").find("cuda_wgmma"), std::string::npos);
}

}  // namespace
}  // namespace graft
