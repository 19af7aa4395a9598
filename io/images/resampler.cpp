#include "graft/io/images/resampler.h"

#include <algorithm>
#include <cmath>

#include "graft/core/runtime/exec_context.h"

namespace graft::io {
namespace {

double bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }
double bicubic(double x) {  // a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

const ResampleTable& resample_table() {
#if defined(__x86_64__)
  const InstructionSet set = current_context().instruction_set();
  if (set >= InstructionSet::avx512) return resample_avx512;
  if (set >= InstructionSet::avx2) return resample_avx2;
#endif
  return resample_portable;
}

// The outputs of [begin, begin + count) that exist.
ResampleAxis visible(int64_t in, int64_t full, int64_t begin, int64_t count) {
  const int64_t first = std::max<int64_t>(begin, 0), last = std::min(begin + count, full);
  return {in, 0, static_cast<double>(in), full, first, std::max<int64_t>(last - first, 0)};
}

}  // namespace

PlacedWindow::PlacedWindow(const ResizedWindow& w, int64_t in_width, int64_t in_height)
    : x(visible(in_width, w.full_width, w.x0, w.width)),
      y(visible(in_height, w.full_height, w.y0, w.height)),
      left(x.begin - w.x0),
      top(y.begin - w.y0),
      empty(x.out == 0 || y.out == 0),
      framed(x.out != w.width || y.out != w.height) {}

// Source: Pillow's libImaging/Resample.c (the method, described in its comments): for every output
// position the source range under the filter's support, and weights normalised to one, in fixed
// point of 32-8-2 bits. Every output then gets the same number of weights, with zeros behind or in
// front, so that the inner loops have one length.
void Resampler::Taps::make(const ResampleAxis& axis, Interpolation interpolation) {
  const double scale = (axis.high - axis.low) / static_cast<double>(axis.full);
  const double filter_scale = std::max(scale, 1.0);
  const double support = (interpolation == Interpolation::bilinear ? 1.0 : 2.0) * filter_scale;
  struct Range {
    int64_t first, count;
    double centre;
  };
  const auto range = [&](int64_t i) {
    const double centre = axis.low + (static_cast<double>(axis.begin + i) + 0.5) * scale;
    const auto low = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto high = std::min<int64_t>(axis.in, static_cast<int64_t>(centre + support + 0.5));
    return Range{low, std::max<int64_t>(high - low, 0), centre};
  };
  taps = 1;
  for (int64_t i = 0; i < axis.out; ++i) taps = std::max(taps, range(i).count);
  first.assign(static_cast<size_t>(axis.out), 0);
  weights.assign(static_cast<size_t>(axis.out * taps), 0);
  const auto value = [&](const Range& r, int64_t k) {
    const double x = (static_cast<double>(r.first + k) - r.centre + 0.5) / filter_scale;
    return interpolation == Interpolation::bilinear ? bilinear(x) : bicubic(x);
  };
  for (int64_t i = 0; i < axis.out; ++i) {
    const Range r = range(i);
    double sum = 0;
    for (int64_t k = 0; k < r.count; ++k) sum += value(r, k);
    const int64_t at = std::min(r.first, axis.in - taps);
    first[static_cast<size_t>(i)] = static_cast<int32_t>(at);
    for (int64_t k = 0; k < r.count; ++k) {
      const double w = (sum != 0 ? value(r, k) / sum : 0) * (1 << kResampleBits);
      weights[static_cast<size_t>(i * taps + r.first - at + k)] =
          static_cast<int32_t>(w < 0 ? w - 0.5 : w + 0.5);
    }
  }
}

void Resampler::start(const ResampleAxis& x, const ResampleAxis& y, int64_t channels,
                      Interpolation interpolation, uint8_t* out, int64_t stride) {
  across_.make(x, interpolation);
  down_.make(y, interpolation);
  needed_ = {across_.first.front(), down_.first.front(), across_.first.back() + across_.taps,
             down_.first.back() + down_.taps};
  for (int32_t& first : across_.first) first -= static_cast<int32_t>(needed_.left);
  channels_ = channels;
  stride_ = stride;
  out_ = out;
  ring_stride_ = x.out * channels + 4;  // the loops write a little past a row
  ring_.resize(static_cast<size_t>(ring_stride_ * down_.taps));
  rows_.resize(static_cast<size_t>(down_.taps));
  next_in_ = needed_.top;
  next_out_ = 0;
  table_ = &resample_table();
}

void Resampler::row(const uint8_t* pixels) {
  const int64_t width = std::ssize(across_.first), in_width = needed_.right - needed_.left;
  uint8_t* to = ring_.data() + next_in_ % down_.taps * ring_stride_;
  (channels_ == 1 ? table_->across_grey : table_->across_rgb)(
      pixels, in_width, across_.first.data(), across_.weights.data(), across_.taps, width, to);
  ++next_in_;
  for (; next_out_ < std::ssize(down_.first); ++next_out_) {
    const int64_t first = down_.first[static_cast<size_t>(next_out_)];
    if (first + down_.taps > next_in_) return;
    for (int64_t k = 0; k < down_.taps; ++k)
      rows_[static_cast<size_t>(k)] = ring_.data() + (first + k) % down_.taps * ring_stride_;
    table_->down(rows_.data(), down_.weights.data() + next_out_ * down_.taps, down_.taps,
                 width * channels_, out_ + next_out_ * stride_);
  }
}

void Resampler::rows_of(const Image& image) {
  const uint8_t* in = image.pixels.data<uint8_t>();
  for (int64_t y = needed_.top; y < needed_.bottom; ++y)
    row(in + (y * image.width + needed_.left) * channels_);
}

}  // namespace graft::io
