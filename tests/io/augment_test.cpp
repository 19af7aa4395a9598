// Augment: counted randomness, the caller's pixels untouched, and distributions that are what they
// say.
#include "graft/io/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace graft::io {
namespace {

Image ramp(int64_t width, int64_t height, int64_t channels = 3) {
  Image image{width, height, channels,
              Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  for (int64_t i = 0; i < image.pixels.numel(); ++i)
    image.pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 37 % 251);
  return image;
}

Preprocess plain(int64_t size, int64_t resize_to = 0) {
  Preprocess p;
  p.size = size;
  p.resize_to = resize_to;
  return p;
}

std::vector<double> run(const Image& image, const Preprocess& preprocess, const Augment& augment,
                        uint64_t sample) {
  CountedRandom random(5, RandomPurpose::augmentation, 0, sample);
  const Image result = augmented(image, preprocess, augment, random);
  EXPECT_EQ(result.pixels.shape(), Shape({preprocess.size, preprocess.size, preprocess.channels}));
  return result.pixels.to_doubles();
}

TEST(AugmentTest, IsAFunctionOfTheStreamAndLeavesTheImageAlone) {
  for (const int64_t side :
       {8, 12}) {  // 8: the geometry has nothing to do and hands the image's own pixels on
    const Image image = ramp(8, 8);
    const auto before = image.pixels.to_doubles();
    for (const char* name : {"none", "light", "strong", "trivial", "rand"}) {
      std::set<std::vector<double>> results;
      for (uint64_t sample = 0; sample < 20; ++sample) {
        const auto first = run(image, plain(side), augment_named(name), sample);
        EXPECT_EQ(first, run(image, plain(side), augment_named(name), sample));
        results.insert(first);
      }
      EXPECT_EQ(results.size() > 1, std::string(name) != "none") << name;
      EXPECT_EQ(image.pixels.to_doubles(), before) << name;
    }
  }
}

TEST(AugmentTest, NoneIsThePreprocessing) {
  const Image image = ramp(20, 14);
  EXPECT_EQ(run(image, plain(8, 10), {}, 0), plain(8, 10).geometry(image).pixels.to_doubles());
}

TEST(AugmentTest, HalfOfTheImagesAreMirrored) {
  const Image image = ramp(9, 9);
  const auto upright = image.pixels.to_doubles();
  std::vector<double> mirrored(upright.size());
  for (size_t y = 0; y < 9; ++y)
    for (size_t x = 0; x < 9; ++x)
      for (size_t c = 0; c < 3; ++c)
        mirrored[(y * 9 + x) * 3 + c] = upright[(y * 9 + 8 - x) * 3 + c];
  int count = 0;
  for (uint64_t sample = 0; sample < 1000; ++sample) {
    const auto result = run(image, plain(9), {.flip = true}, sample);
    ASSERT_TRUE(result == upright || result == mirrored) << sample;
    count += result == mirrored;
  }
  EXPECT_NEAR(count, 500, 60);
}

TEST(AugmentTest, CropsTakeTheShareTheyPromise) {
  // Pixels count columns, so that the crop's width shows in the spread of the values.
  Image image{200, 100, 1, Tensor::empty({100, 200, 1}, {.dtype = DType::u8})};
  for (int64_t i = 0; i < image.pixels.numel(); ++i)
    image.pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i % 200);
  Preprocess preprocess = plain(32);
  preprocess.channels = 1;
  double narrowest = 200, widest = 0;
  for (uint64_t sample = 0; sample < 300; ++sample) {
    const auto values = run(image, preprocess, {.scale_low = 0.2, .scale_high = 0.5}, sample);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    narrowest = std::min(narrowest, *high - *low);
    widest = std::max(widest, *high - *low);
  }
  EXPECT_NEAR(narrowest, std::sqrt(0.2 * 20000 * 0.75),
              8);  // 55 wide: the smallest area, the tallest ratio
  EXPECT_NEAR(widest, std::sqrt(0.5 * 20000 * 4 / 3), 8);  // 115 wide
}

TEST(AugmentTest, JitterStaysWithinItsFactors) {
  Image image{4, 4, 3, Tensor::full({4, 4, 3}, 100, {.dtype = DType::u8})};
  double low = 255, high = 0;
  for (uint64_t sample = 0; sample < 300; ++sample) {
    const auto values = run(image, plain(4), {.brightness = 0.2}, sample);
    EXPECT_EQ(std::set<double>(values.begin(), values.end()).size(), 1u);
    low = std::min(low, values[0]);
    high = std::max(high, values[0]);
  }
  EXPECT_GE(low, 80);
  EXPECT_LE(low, 83);
  EXPECT_LE(high, 120);
  EXPECT_GE(high, 117);
  for (uint64_t sample = 0; sample < 20;
       ++sample) {  // a plain grey has neither contrast nor saturation to change
    const auto values = run(image, plain(4), {.contrast = 0.5, .saturation = 0.5}, sample);
    EXPECT_EQ(*std::max_element(values.begin(), values.end()), 100);
    EXPECT_EQ(*std::min_element(values.begin(), values.end()), 100);
  }
}

TEST(AugmentTest, ThinAndTinyImages) {
  for (const auto& [width, height] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 500}, {500, 1}, {2, 3}})
    for (uint64_t sample = 0; sample < 30; ++sample) {
      run(ramp(width, height), plain(8, 10), augment_named("strong"), sample);
      run(ramp(width, height, 1), plain(8), augment_named("strong"), sample);
      run(ramp(width, height), plain(8), augment_named("trivial"), sample);
      run(ramp(width, height, 1), plain(8), augment_named("rand"), sample);
    }
}

TEST(AugmentTest, UnknownNamesAreErrors) { EXPECT_THROW(augment_named("heavy"), Error); }

}  // namespace
}  // namespace graft::io
