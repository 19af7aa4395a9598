// Boxes drawn on images: edges, numbers, colors, and boxes that reach outside.
#include "graft/train/tasks/detection/box_canvas.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

namespace graft::train {
namespace {

io::Image ground(int64_t width, int64_t height) {
  return {width, height, 1, Tensor::zeros({height, width, 1}, {.dtype = DType::u8})};
}

uint32_t pixel(const io::Image& image, int64_t x, int64_t y) {
  const uint8_t* at = image.pixels.data<uint8_t>() + (y * image.width + x) * 3;
  return static_cast<uint32_t>(at[0]) << 16 | static_cast<uint32_t>(at[1]) << 8 | at[2];
}

TEST(BoxCanvas, EdgesAreDrawnInwards) {
  BoxCanvas canvas(ground(20, 20));
  canvas.draw({2, 3, 8, 9}, 0x123456);
  const io::Image image = canvas.take();
  for (const auto& [x, y] : {std::pair{2, 3}, {7, 3}, {2, 8}, {7, 8}, {4, 3}, {2, 5}})
    EXPECT_EQ(pixel(image, x, y), 0x123456u) << x << " " << y;
  for (const auto& [x, y] : {std::pair{1, 3}, {8, 3}, {2, 9}, {4, 5}})
    EXPECT_EQ(pixel(image, x, y), 0u) << x << " " << y;
}

TEST(BoxCanvas, WhatLiesOutsideIsNotDrawn) {
  const double infinity = std::numeric_limits<double>::infinity();
  BoxCanvas canvas(ground(5, 5));
  canvas.draw({-1e300, -10, 1e300, 10}, 0xffffff);
  canvas.draw({-infinity, 0, 5, 5}, 0xffffff);
  canvas.draw_number({-infinity, 0, 5, 5}, 7, 0xff0000);
  canvas.draw_number({100, 100, 120, 120}, 1234567, 0xff0000);
  const io::Image image = canvas.take();
  EXPECT_EQ(image.width, 5);
  EXPECT_EQ(image.channels, 3);
}

TEST(BoxCanvas, NumbersAreReadable) {
  BoxCanvas canvas(ground(20, 20));
  canvas.draw_number({4, 4, 16, 16}, 1, 0x0000ff);
  const io::Image image = canvas.take();
  const char* digit[] = {".....", "..x..", ".xx..", "..x..", "..x..", ".xxx.", "....."};
  for (int64_t y = 0; y < 7; ++y)
    for (int64_t x = 0; x < 5; ++x)
      EXPECT_EQ(pixel(image, 4 + x, 4 + y), digit[y][x] == 'x' ? 0xffffffu : 0x0000ffu)
          << x << " " << y;
}

TEST(BoxCanvas, IdentitiesHaveColorsOfTheirOwn) {
  std::set<uint32_t> colors;
  for (int64_t id = 1; id <= 50; ++id) colors.insert(identity_color(id));
  EXPECT_EQ(colors.size(), 50u);
  for (const uint32_t color : colors)
    EXPECT_GT(std::max({color >> 16, color >> 8 & 255, color & 255}), 200u);
  EXPECT_EQ(box_color(8), box_color(0));
}

}  // namespace
}  // namespace graft::train
