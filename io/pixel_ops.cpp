#include "graft/io/pixel_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graft/core/base/error.h"

namespace graft::io {
namespace {

uint8_t cut_to_byte(float value) {
  return value <= 0 ? 0 : value >= 255 ? 255 : static_cast<uint8_t>(value);
}

// Pillow's Image.blend(target, image, factor).
uint8_t blended(uint8_t target, uint8_t value, float factor) {
  return cut_to_byte(static_cast<float>(target) +
                     factor * static_cast<float>(int{value} - int{target}));
}

uint8_t luma_of(const uint8_t* p, int64_t channels) {
  if (channels == 1) return p[0];
  return static_cast<uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
}

// Blends every pixel with the one that target(pixel, channel) gives.
template <class Target>
void blend_with(Image& image, double factor, Target&& target) {
  uint8_t* p = image.pixels.mutable_data<uint8_t>();
  for (int64_t i = 0; i < image.width * image.height; ++i, p += image.channels) {
    std::array<uint8_t, 3> towards{};
    for (int64_t c = 0; c < image.channels; ++c) towards[static_cast<size_t>(c)] = target(i, p, c);
    for (int64_t c = 0; c < image.channels; ++c)
      p[c] = blended(towards[static_cast<size_t>(c)], p[c], static_cast<float>(factor));
  }
}

void change_contrast(Image& image, double factor) {
  const uint8_t* p = image.pixels.data<uint8_t>();
  const int64_t count = image.width * image.height;
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += luma_of(p + i * image.channels, image.channels);
  const auto mean =
      static_cast<uint8_t>(static_cast<double>(sum) / static_cast<double>(count) + 0.5);
  blend_with(image, factor, [mean](int64_t, const uint8_t*, int64_t) { return mean; });
}

// Towards Pillow's SMOOTH: (1 1 1, 1 5 1, 1 1 1) / 13, rounded; pixels of the border stay.
void change_sharpness(Image& image, double factor) {
  const int64_t w = image.width, h = image.height, c = image.channels, row = w * c;
  const Tensor before = image.pixels.clone();
  const uint8_t* in = before.data<uint8_t>();
  blend_with(image, factor, [&](int64_t i, const uint8_t*, int64_t k) {
    const int64_t x = i % w, y = i / w, at = i * c + k;
    if (x == 0 || y == 0 || x == w - 1 || y == h - 1) return in[at];
    int sum = 4 * in[at];
    for (int64_t dy = -1; dy <= 1; ++dy)
      for (int64_t dx = -1; dx <= 1; ++dx) sum += in[at + dy * row + dx * c];
    return static_cast<uint8_t>((2 * sum + 13) / 26);
  });
}

// Every channel through a table of its own: table_of(histogram).
template <class TableOf>
void map_channels(Image& image, TableOf&& table_of) {
  uint8_t* p = image.pixels.mutable_data<uint8_t>();
  const int64_t numbers = image.pixels.numel(), step = image.channels;
  for (int64_t c = 0; c < step; ++c) {
    std::array<int64_t, 256> histogram{};
    for (int64_t i = c; i < numbers; i += step) ++histogram[p[i]];
    const std::array<uint8_t, 256> table = table_of(histogram);
    for (int64_t i = c; i < numbers; i += step) p[i] = table[p[i]];
  }
}

template <class F>
std::array<uint8_t, 256> byte_table(F&& f) {
  std::array<uint8_t, 256> table{};
  for (int i = 0; i < 256; ++i) table[static_cast<size_t>(i)] = f(i);
  return table;
}

std::array<uint8_t, 256> stretched(const std::array<int64_t, 256>& histogram) {
  int low = 0, high = 255;
  while (low < 255 && histogram[static_cast<size_t>(low)] == 0) ++low;
  while (high > 0 && histogram[static_cast<size_t>(high)] == 0) --high;
  if (high <= low) return byte_table([](int i) { return static_cast<uint8_t>(i); });
  const double scale = 255.0 / (high - low), offset = -low * scale;
  return byte_table([&](int i) {
    return static_cast<uint8_t>(std::clamp(static_cast<int>(i * scale + offset), 0, 255));
  });
}

std::array<uint8_t, 256> equalized(const std::array<int64_t, 256>& histogram) {
  int64_t sum = 0, last = 0, used = 0;
  for (const int64_t count : histogram) {
    sum += count;
    used += count > 0;
    if (count > 0) last = count;
  }
  const int64_t step = (sum - last) / 255;
  if (used <= 1 || step == 0) return byte_table([](int i) { return static_cast<uint8_t>(i); });
  int64_t n = step / 2;
  return byte_table([&](int i) {
    const int64_t value = std::min<int64_t>(n / step, 255);
    n += histogram[static_cast<size_t>(i)];
    return static_cast<uint8_t>(value);
  });
}

// Where an output pixel's middle lies in the image: x = a[0] x + a[1] y + a[2], y = a[3] x + ...
using Placing = std::array<double, 6>;

// Pillow's Image.transform(AFFINE, NEAREST), which counts in 65,536ths of a pixel.
void place(Image& image, const Placing& a) {
  const auto fixed = [](double v) { return static_cast<int64_t>(std::floor(v * 65536 + 0.5)); };
  const int64_t w = image.width, h = image.height, c = image.channels;
  const Tensor before = image.pixels.clone();
  const uint8_t* in = before.data<uint8_t>();
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  int64_t row_x = fixed(a[2] + a[0] * 0.5 + a[1] * 0.5),
          row_y = fixed(a[5] + a[3] * 0.5 + a[4] * 0.5);
  for (int64_t y = 0; y < h; ++y, row_x += fixed(a[1]), row_y += fixed(a[4])) {
    int64_t xx = row_x, yy = row_y;
    for (int64_t x = 0; x < w; ++x, out += c, xx += fixed(a[0]), yy += fixed(a[3])) {
      const int64_t from_x = xx >> 16, from_y = yy >> 16;
      if (from_x >= 0 && from_x < w && from_y >= 0 && from_y < h)
        std::copy_n(in + (from_y * w + from_x) * c, c, out);
      else
        std::fill_n(out, c, uint8_t{0});
    }
  }
}

// Pillow's Image.rotate, about the middle.
void rotate(Image& image, double degrees) {
  const auto rounded = [](double v) { return std::round(v * 1e15) / 1e15; };
  const double turn = -std::fmod(std::fmod(degrees, 360) + 360, 360) * std::numbers::pi / 180;
  const double cosine = rounded(std::cos(turn)), sine = rounded(std::sin(turn));
  const double cx = static_cast<double>(image.width) / 2,
               cy = static_cast<double>(image.height) / 2;
  if (turn == 0) return;
  place(image, {cosine, sine, cx - (cosine * cx + sine * cy), -sine, cosine,
                cy - (-sine * cx + cosine * cy)});
}

bool is_geometry(PixelOp op) { return op >= PixelOp::shear_x && op <= PixelOp::rotate; }

void move_pixels(Image& image, PixelOp op, double m) {
  switch (op) {
    case PixelOp::shear_x: return place(image, {1, m, 0, 0, 1, 0});
    case PixelOp::shear_y: return place(image, {1, 0, 0, m, 1, 0});
    case PixelOp::translate_x: return place(image, {1, 0, -std::trunc(m), 0, 1, 0});
    case PixelOp::translate_y: return place(image, {1, 0, 0, 0, 1, -std::trunc(m)});
    default: return rotate(image, m);
  }
}

void change_values(Image& image, PixelOp op, double m) {
  switch (op) {
    case PixelOp::brightness:
      return blend_with(image, 1 + m, [](int64_t, const uint8_t*, int64_t) { return uint8_t{0}; });
    case PixelOp::color:
      return blend_with(image, 1 + m, [&](int64_t, const uint8_t* p, int64_t) {
        return luma_of(p, image.channels);
      });
    case PixelOp::contrast: return change_contrast(image, 1 + m);
    case PixelOp::sharpness: return change_sharpness(image, 1 + m);
    case PixelOp::posterize: {
      const int bits = std::clamp(static_cast<int>(m), 0, 8);
      return map_channels(image, [bits](const auto&) {
        return byte_table(
            [bits](int i) { return static_cast<uint8_t>(i & ~((1 << (8 - bits)) - 1)); });
      });
    }
    case PixelOp::solarize:
      return map_channels(image, [m](const auto&) {
        return byte_table([m](int i) { return static_cast<uint8_t>(i < m ? i : 255 - i); });
      });
    case PixelOp::autocontrast: return map_channels(image, stretched);
    default: return map_channels(image, equalized);
  }
}

}  // namespace

std::string name_of(PixelOp op) {
  constexpr std::array<const char*, 14> names = {
      "identity",  "shear x",    "shear y",      "translate x", "translate y",
      "rotate",    "brightness", "color",        "contrast",    "sharpness",
      "posterize", "solarize",   "autocontrast", "equalize"};
  return names[static_cast<size_t>(op)];
}

void apply(Image& image, PixelOp op, double magnitude) {
  GRAFT_CHECK(image.channels == 1 || image.channels == 3, "a change of pixels: ", image.channels,
              " channels; 1 or 3 are needed");
  GRAFT_CHECK(std::isfinite(magnitude), "a change of pixels: a magnitude of ", magnitude);
  if (op == PixelOp::identity || image.pixels.numel() == 0) return;
  if (is_geometry(op)) return move_pixels(image, op, magnitude);
  change_values(image, op, magnitude);
}

}  // namespace graft::io
