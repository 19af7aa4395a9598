#include "graft/train/tasks/detection/box_canvas.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace graft::train {
namespace {

constexpr std::array<uint32_t, 8> kBoxColors = {0xe6194b, 0x3cb44b, 0x4363d8, 0xf58231,
                                                0x911eb4, 0x42d4f4, 0xf032e6, 0xbfef45};

// Three columns by five rows, the upper left bit first.
constexpr std::array<uint16_t, 10> kDigits = {0x7b6f, 0x2c97, 0x73e7, 0x72cf, 0x5bc9,
                                              0x79cf, 0x79ef, 0x7249, 0x7bef, 0x7bcf};

// Beyond any image, and within an integer.
int64_t pixel(double edge) { return static_cast<int64_t>(std::clamp(edge, -1e9, 1e9)); }

bool is_drawable(const io::Box& box) {
  return std::isfinite(box.left) && std::isfinite(box.top) && std::isfinite(box.right) &&
         std::isfinite(box.bottom);
}

}  // namespace

uint32_t box_color(int64_t label) {
  return kBoxColors[static_cast<size_t>(label) % kBoxColors.size()];
}

uint32_t identity_color(int64_t id) {
  // The golden angle between neighbors; full saturation, 95 % brightness.
  const double turn = std::fmod(static_cast<double>(id) * 0.6180339887498949, 1.0) * 6;
  const auto channel = [&](double shift) {
    const double at = std::fmod(turn + shift + 6, 6.0);
    const double part = std::clamp(std::abs(at - 3) - 1, 0.0, 1.0);
    return static_cast<uint32_t>(std::lround(242 * part + 13 * (1 - part)));
  };
  return channel(0) << 16 | channel(4) << 8 | channel(2);
}

BoxCanvas::BoxCanvas(const io::Image& photo) : image_(io::with_channels(photo, 3)) {
  image_.pixels = image_.pixels.clone();
}

int64_t BoxCanvas::line_width() const {
  return std::max<int64_t>(1, std::min(image_.width, image_.height) / 160);
}

void BoxCanvas::draw(const io::Box& box, uint32_t color) {
  if (!is_drawable(box)) return;
  const int64_t left = pixel(box.left), top = pixel(box.top), right = pixel(std::ceil(box.right)),
                bottom = pixel(std::ceil(box.bottom)), thick = line_width();
  fill({left, top, right, top + thick}, color);
  fill({left, bottom - thick, right, bottom}, color);
  fill({left, top, left + thick, bottom}, color);
  fill({right - thick, top, right, bottom}, color);
}

void BoxCanvas::draw_number(const io::Box& box, int64_t number, uint32_t color) {
  if (!is_drawable(box)) return;
  const std::string digits = std::to_string(number < 0 ? 0 : number);
  const int64_t dot = line_width(), width = static_cast<int64_t>(digits.size()) * 4 + 1;
  const int64_t left = std::clamp<int64_t>(pixel(box.left), 0,
                                           std::max<int64_t>(0, image_.width - width * dot)),
                top = std::clamp<int64_t>(pixel(box.top), 0,
                                          std::max<int64_t>(0, image_.height - 7 * dot));
  fill({left, top, left + width * dot, top + 7 * dot}, color);
  for (size_t i = 0; i < digits.size(); ++i)
    for (int64_t bit = 0; bit < 15; ++bit) {
      if ((kDigits[static_cast<size_t>(digits[i] - '0')] >> (14 - bit) & 1) == 0) continue;
      const int64_t x = left + (static_cast<int64_t>(i) * 4 + 1 + bit % 3) * dot,
                    y = top + (1 + bit / 3) * dot;
      fill({x, y, x + dot, y + dot}, 0xffffff);
    }
}

io::Image with_boxes(const io::Image& photo, const io::BoxedImage& objects) {
  constexpr uint32_t grey = 0x999999;
  BoxCanvas canvas(photo);
  for (const io::LabelledBox& own : objects.boxes)
    if (!own.counts()) canvas.draw(own.box, grey);
  for (const io::LabelledBox& own : objects.boxes)
    if (own.counts()) canvas.draw(own.box, box_color(own.label));
  return canvas.take();
}

void BoxCanvas::fill(const Area& area, uint32_t color) {
  uint8_t* pixels = image_.pixels.mutable_data<uint8_t>();
  for (int64_t y = std::max<int64_t>(area.top, 0); y < std::min(area.bottom, image_.height); ++y)
    for (int64_t x = std::max<int64_t>(area.left, 0); x < std::min(area.right, image_.width); ++x)
      for (int64_t k = 0; k < 3; ++k)
        pixels[(y * image_.width + x) * 3 + k] = static_cast<uint8_t>(color >> (16 - 8 * k));
}

}  // namespace graft::train
