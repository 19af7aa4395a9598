// Decoded images to a network's input, on the device, beside io's preprocessing.
#include "graft/kernels/ops/image_input.h"

#include <gtest/gtest.h>

#include <set>

#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/random.h"
#include "graft/io/augment.h"
#include "graft/io/preprocess.h"
#include "graft/kernels/registry.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::kCuda;

Tensor noise(const Shape& shape) {
  Tensor pixels = Tensor::empty(shape, {.dtype = DType::u8});
  CountedRandom random(1, RandomPurpose::synthetic);
  for (uint8_t& value :
       std::span(pixels.mutable_data<uint8_t>(), static_cast<size_t>(pixels.numel())))
    value = static_cast<uint8_t>(random.below(256));
  return pixels;
}

ops::ImageInputAttributes imagenet(bool bgr) {
  return {1. / 255, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225, 1}, bgr};
}

std::vector<double> run(const Tensor& pixels, const Tensor& places,
                        const ops::ImageInputAttributes& attributes, const Shape& y_shape,
                        DType dtype, Device device) {
  const Tensor there = to_device(pixels, device),
               where = places.defined() ? to_device(places, device) : Tensor();
  Tensor y = Tensor::full(
      y_shape, 77, {.dtype = dtype, .format = MemoryFormat::channels_last, .device = device});
  kernels_for<ops::ImageInputKernels>(device).forward(
      current_context(), {there, where.defined() ? &where : nullptr, attributes, y});
  return y.to_doubles();
}

// Crops inside, across the border and outside, mirrored and not; channels in both orders, padded
// and not.
TEST(CudaImageInput, AgreesWithTheReference) {
  const Tensor places = Tensor::of<int32_t>({4, 3}, {0, 0, 0, 2, 3, 1, -2, 4, 1, 9, -1, 0});
  for (const int64_t channels : {1, 3, 4})
    for (const int64_t stored : {channels, int64_t{4}, int64_t{8}})
      for (const bool bgr : {false, true})
        for (const bool placed : {false, true}) {
          const Tensor pixels = noise({4, 7, 9, channels});
          const Shape y{4, stored, 5, 6};
          const auto expected =
              run(pixels, placed ? places : Tensor(), imagenet(bgr), y, DType::f64, {});
          for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
            test::TestDevice opened;
            const auto actual =
                run(pixels, placed ? places : Tensor(), imagenet(bgr), y, dtype, kCuda);
            EXPECT_LE(test::relative_error(actual, expected), dtype == DType::f32    ? 1e-6
                                                              : dtype == DType::bf16 ? 8e-3
                                                                                     : 1e-3)
                << channels << " stored as " << stored << (bgr ? " bgr" : "")
                << (placed ? " placed" : "");
          }
        }
}

// The same numbers as the CPU's loader gives a network.
TEST(CudaImageInput, IsThePreprocessing) {
  io::Preprocess preprocess;
  preprocess.size = 6;
  preprocess.resize_to = 0;
  preprocess.bgr = true;
  const Tensor pixels = noise({1, 6, 6, 3});
  io::Image image;
  image.width = image.height = 6, image.channels = 3;
  image.pixels = noise({6, 6, 3});  // the same numbers
  const std::vector<double> expected = preprocess.apply(image).to_doubles();
  test::TestDevice opened;
  EXPECT_LE(test::relative_error(run(pixels, {}, imagenet(true), {1, 3, 6, 6}, DType::f32, kCuda),
                                 expected),
            1e-6);
}

// The same grey levels as the CPU's augmentation, of the factors that it draws: without
// normalising, whole numbers.
TEST(CudaImageInput, ChangesColoursAsTheAugmentation) {
  const ops::ImageInputAttributes plain{.scale = 1};
  const io::Augment augment{.brightness = 0.4, .contrast = 0.7, .saturation = 0.6};
  for (const int64_t channels : {1, 3})
    for (const uint64_t sample : {0, 1, 2, 3}) {
      const auto stream = [&] { return CountedRandom(5, RandomPurpose::augmentation, 0, sample); };
      io::Image image;
      image.width = 9, image.height = 7, image.channels = channels;
      image.pixels = noise({7, 9, channels});
      CountedRandom random = stream();
      io::jitter(image, augment, random);
      CountedRandom again = stream();
      std::vector<double> factors;
      for (const double range : {augment.brightness, augment.contrast, augment.saturation})
        factors.push_back(again.uniform(1 - range, 1 + range));
      const Tensor pixels = noise({1, 7, 9, channels}),
                   colours = Tensor::of<double>({1, 3}, factors);
      const Tensor expected = image.pixels.to(DType::f32);
      const auto changed = [&](Device device) {
        const Tensor there = to_device(pixels, device), colours_there = to_device(colours, device);
        Tensor y = Tensor::empty({1, channels, 7, 9},
                                 {.format = MemoryFormat::channels_last, .device = device});
        kernels_for<ops::ImageInputKernels>(device).forward(
            current_context(), {there, nullptr, plain, y, &colours_there});
        return to_device(y, {});
      };
      const auto stored = [](const Tensor& y) {
        return std::vector<float>(y.data<float>(), y.data<float>() + y.numel());
      };
      EXPECT_EQ(stored(changed({})), stored(expected));
      const test::TestDevice opened;
      EXPECT_EQ(stored(changed(kCuda)), stored(expected));
    }
}

// Crops, mirrors, orders of channels and padded stems with colours, several samples with factors of
// their own.
TEST(CudaImageInput, ColoursAgreeWithTheReference) {
  const Tensor places = Tensor::of<int32_t>({3, 3}, {0, 0, 0, 2, 3, 1, -2, 4, 1});
  const Tensor colours = Tensor::of<double>({3, 3}, {0.7, 1.3, 0.5, 1, 0.6, 1, 1.2, 1, 1.4});
  for (const int64_t channels : {1, 3})
    for (const int64_t stored : {channels, int64_t{4}})
      for (const bool bgr : {false, true}) {
        const Tensor pixels = noise({3, 7, 9, channels});
        const auto changed = [&](Device device, DType dtype) {
          const Tensor there = to_device(pixels, device), where = to_device(places, device),
                       how = to_device(colours, device);
          Tensor y = Tensor::empty(
              {3, stored, 5, 6},
              {.dtype = dtype, .format = MemoryFormat::channels_last, .device = device});
          kernels_for<ops::ImageInputKernels>(device).forward(
              current_context(), {there, &where, imagenet(bgr), y, &how});
          return y.to_doubles();
        };
        const std::vector<double> expected = changed({}, DType::f64);
        const test::TestDevice opened;
        EXPECT_LE(test::relative_error(changed(kCuda, DType::f32), expected), 1e-6)
            << channels << (bgr ? " bgr" : "");
      }
}

TEST(CudaImageInput, RefusesWhatDoesNotFit) {
  const ops::ImageInputAttributes attributes;
  EXPECT_THROW(run(noise({1, 4, 4, 3}), {}, attributes, {1, 1, 4, 4}, DType::f32, {}), Error);
  EXPECT_THROW(run(noise({1, 4, 4, 3}), {}, attributes, {2, 3, 4, 4}, DType::f32, {}), Error);
  EXPECT_THROW(run(noise({1, 4, 4, 5}), {}, attributes, {1, 5, 4, 4}, DType::f32, {}), Error);
  EXPECT_THROW(run(noise({1, 4, 4, 3}), Tensor::zeros({1, 2}, {.dtype = DType::i32}), attributes,
                   {1, 3, 4, 4}, DType::f32, {}),
               Error);
}

}  // namespace
}  // namespace graft
