#include "graft/io/images/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace graft::io {
namespace {

// Source: Pillow's libImaging/Resample.c (the method, described in its comments): for every output position the
// source range under the filter's support, and weights normalised to one, in fixed point of 32-8-2 bits.
constexpr int kPrecision = 32 - 8 - 2;

double bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }
double bicubic(double x) {  // a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

struct Taps {
  int64_t taps = 0;              // weights kept an output position
  std::vector<int64_t> first;    // first source index
  std::vector<int64_t> count;    // source indices used
  std::vector<int32_t> weights;  // [out][taps]
};

// Outputs [begin, begin + out) of `full` outputs over the source range [low, high).
Taps make_taps(int64_t in, double low, double high, int64_t full, int64_t begin, int64_t out, Interpolation interpolation) {
  const double scale = (high - low) / static_cast<double>(full);
  const double filter_scale = std::max(scale, 1.0);
  const double support = (interpolation == Interpolation::bilinear ? 1.0 : 2.0) * filter_scale;
  Taps result;
  result.taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  result.weights.assign(static_cast<size_t>(out * result.taps), 0);
  std::vector<double> values(static_cast<size_t>(result.taps));
  for (int64_t i = 0; i < out; ++i) {
    const double centre = low + (static_cast<double>(begin + i) + 0.5) * scale;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto last = std::min<int64_t>(in, static_cast<int64_t>(centre + support + 0.5));
    const int64_t count = std::max<int64_t>(last - first, 0);
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      const double x = (static_cast<double>(first + k) - centre + 0.5) / filter_scale;
      values[static_cast<size_t>(k)] = interpolation == Interpolation::bilinear ? bilinear(x) : bicubic(x);
      sum += values[static_cast<size_t>(k)];
    }
    for (int64_t k = 0; k < count; ++k) {
      const double w = (sum != 0 ? values[static_cast<size_t>(k)] / sum : 0) * (1 << kPrecision);
      result.weights[static_cast<size_t>(i * result.taps + k)] = static_cast<int32_t>(w < 0 ? w - 0.5 : w + 0.5);
    }
    result.first.push_back(first);
    result.count.push_back(count);
  }
  return result;
}

bool is_possible(int64_t width, int64_t height) {
  return width >= 1 && height >= 1 && width <= kMaxImagePixels && height <= kMaxImagePixels / width;
}

uint8_t clip(int32_t value) { return static_cast<uint8_t>(std::clamp(value >> kPrecision, 0, 255)); }

template <int C>
void horizontal_row(const uint8_t* in, uint8_t* out, const Taps& taps) {
  for (size_t x = 0; x < taps.first.size(); ++x) {
    int32_t sums[C];
    for (int c = 0; c < C; ++c) sums[c] = 1 << (kPrecision - 1);
    const uint8_t* from = in + taps.first[x] * C;
    const int32_t* weight = taps.weights.data() + static_cast<int64_t>(x) * taps.taps;
    for (int64_t k = 0; k < taps.count[x]; ++k)
      for (int c = 0; c < C; ++c) sums[c] += from[k * C + c] * weight[k];
    for (int c = 0; c < C; ++c) out[x * C + static_cast<size_t>(c)] = clip(sums[c]);
  }
}

void vertical_row(const uint8_t* in, int64_t stride, uint8_t* out, int64_t bytes, const int32_t* weight, int64_t count,
                  std::vector<int32_t>& sums) {
  std::fill_n(sums.begin(), bytes, 1 << (kPrecision - 1));
  for (int64_t k = 0; k < count; ++k) {
    const uint8_t* row = in + k * stride;
    const int32_t w = weight[k];
    for (int64_t i = 0; i < bytes; ++i) sums[static_cast<size_t>(i)] += row[i] * w;
  }
  for (int64_t i = 0; i < bytes; ++i) out[i] = clip(sums[static_cast<size_t>(i)]);
}

Image resample(const Image& image, const Taps& across, const Taps& down) {
  const auto width = std::ssize(across.first), height = std::ssize(down.first);
  const int64_t channels = image.channels, bytes = width * channels;
  int64_t top = image.height, bottom = 0;  // source rows that are needed
  for (size_t y = 0; y < down.first.size(); ++y) {
    top = std::min(top, down.first[y]);
    bottom = std::max(bottom, down.first[y] + down.count[y]);
  }
  Tensor rows = Tensor::empty({std::max<int64_t>(bottom - top, 0), bytes}, {.dtype = DType::u8});
  uint8_t* middle = rows.mutable_data<uint8_t>();
  const uint8_t* in = image.pixels.data<uint8_t>();
  for (int64_t y = top; y < bottom; ++y) {
    const uint8_t* from = in + y * image.width * channels;
    uint8_t* to = middle + (y - top) * bytes;
    if (channels == 1) horizontal_row<1>(from, to, across);
    else horizontal_row<3>(from, to, across);
  }
  Image result{width, height, channels, Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  uint8_t* out = result.pixels.mutable_data<uint8_t>();
  std::vector<int32_t> sums(static_cast<size_t>(bytes));
  for (int64_t y = 0; y < height; ++y) {
    const auto i = static_cast<size_t>(y);
    vertical_row(middle + (down.first[i] - top) * bytes, bytes, out + y * bytes, bytes, down.weights.data() + y * down.taps,
                 down.count[i], sums);
  }
  return result;
}

}  // namespace

Image resize(const Image& image, int64_t width, int64_t height, const ResizeBox& box, Interpolation interpolation) {
  GRAFT_CHECK(is_possible(width, height), "cannot resize an image to ", width, "x", height);
  GRAFT_CHECK(box.left >= 0 && box.top >= 0 && box.right <= static_cast<double>(image.width) &&
                  box.bottom <= static_cast<double>(image.height) && box.left < box.right && box.top < box.bottom,
              "resize: the box lies outside of the image of ", image.width, "x", image.height);
  return resample(image, make_taps(image.width, box.left, box.right, width, 0, width, interpolation),
                  make_taps(image.height, box.top, box.bottom, height, 0, height, interpolation));
}

Image resize(const Image& image, int64_t width, int64_t height, Interpolation interpolation) {
  if (width == image.width && height == image.height) return image;
  return resize(image, width, height, {0, 0, static_cast<double>(image.width), static_cast<double>(image.height)}, interpolation);
}

Image resize_window(const Image& image, const ResizedWindow& w, Interpolation interpolation) {
  GRAFT_CHECK(is_possible(w.full_width, w.full_height) && is_possible(w.width, w.height), "cannot resize an image to ", w.full_width, "x", w.full_height);
  const int64_t x0 = std::max<int64_t>(w.x0, 0), x1 = std::min(w.x0 + w.width, w.full_width);
  const int64_t y0 = std::max<int64_t>(w.y0, 0), y1 = std::min(w.y0 + w.height, w.full_height);
  Image inside{0, 0, image.channels, {}};
  if (x0 < x1 && y0 < y1)
    inside = resample(image,
                      make_taps(image.width, 0, static_cast<double>(image.width), w.full_width, x0, x1 - x0, interpolation),
                      make_taps(image.height, 0, static_cast<double>(image.height), w.full_height, y0, y1 - y0, interpolation));
  if (inside.width == w.width && inside.height == w.height) return inside;
  Image framed{w.width, w.height, image.channels, Tensor::zeros({w.height, w.width, image.channels}, {.dtype = DType::u8})};
  uint8_t* out = framed.pixels.mutable_data<uint8_t>();
  for (int64_t y = 0; y < inside.height; ++y)
    std::memcpy(out + ((y + y0 - w.y0) * w.width + (x0 - w.x0)) * image.channels,
                inside.pixels.data<uint8_t>() + y * inside.width * image.channels,
                static_cast<size_t>(inside.width * image.channels));
  return framed;
}

}  // namespace graft::io
