// Pixels in a program's own memory as images: every order, rows with gaps and bottom up; what is
// refused.
#include "graft/api/pixels.h"

#include <gtest/gtest.h>

#include "graft/core/base/error.h"

namespace graft {
namespace {

std::vector<int> values(const io::Image& image) {
  const uint8_t* p = image.pixels.data<uint8_t>();
  return {p, p + image.pixels.numel()};
}

TEST(Pixels, OrdersBecomeRgb) {
  const std::vector<uint8_t> bytes = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto read = [&](PixelOrder order) { return values(image_of({bytes.data(), 2, 1, order})); };
  EXPECT_EQ(read(PixelOrder::grey), (std::vector<int>{1, 2}));
  EXPECT_EQ(read(PixelOrder::rgb), (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read(PixelOrder::bgr), (std::vector<int>{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(read(PixelOrder::rgba), (std::vector<int>{1, 2, 3, 5, 6, 7}));
  EXPECT_EQ(read(PixelOrder::bgra), (std::vector<int>{3, 2, 1, 7, 6, 5}));
  EXPECT_THROW(read(static_cast<PixelOrder>(9)), Error);
}

TEST(Pixels, RowsMayHaveGapsAndStandBottomUp) {
  const std::vector<uint8_t> bytes = {1, 2, 0, 3, 4, 0};
  EXPECT_EQ(values(image_of({bytes.data(), 2, 2, PixelOrder::grey, 3})),
            (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(values(image_of({bytes.data() + 3, 2, 2, PixelOrder::grey, -3})),
            (std::vector<int>{3, 4, 1, 2}));
}

TEST(Pixels, WhatCannotBeIsRefused) {
  const uint8_t byte[4] = {};
  for (const Pixels& wrong :
       {Pixels{nullptr, 1, 1}, Pixels{byte, 0, 1}, Pixels{byte, 1, -1},
        Pixels{byte, 2, 1, PixelOrder::grey, 1}, Pixels{byte, 2, 1, PixelOrder::grey, -1},
        Pixels{byte, INT64_MAX, INT64_MAX, PixelOrder::rgba}})
    EXPECT_THROW(image_of(wrong), Error);
}

}  // namespace
}  // namespace graft
