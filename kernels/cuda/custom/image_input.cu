// Decoded images to a network's input: a thread a pixel of the result.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/image_input.h"

namespace graft::cuda {
namespace {

// N: channels of the result that are stored at once (4 where it has 4), else 1.
template <class T, int N>
struct ImageInput {
  static constexpr const char* name = "image_input";
  static constexpr int group = 1;
  Span<const uint8_t> pixels;
  Span<const int32_t> places;  // or empty
  Span<T> y;
  int64_t h, w, c, channels, rows, columns;
  float slope[4], offset[4];  // value = pixel * slope + offset
  bool bgr;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t q = i % columns, p = i / columns % rows, n = i / columns / rows;
    const int64_t place = n * ops::kImagePlace;
    const bool mirror = places && places.load(place + ops::mirrored) != 0;
    const int64_t row = p + (places ? places.load(place + ops::top) : 0);
    const int64_t column = (mirror ? columns - 1 - q : q) + (places ? places.load(place + ops::left) : 0);
    const bool inside = row >= 0 && row < h && column >= 0 && column < w;
    const int64_t from = ((n * h + row) * w + column) * c;
    Group<T, 4> values;
    GRAFT_UNROLL
    for (int k = 0; k < 4; ++k) {
      float value = 0;
      if (k < c) value = (inside ? to_float(pixels.load(from + (bgr ? c - 1 - k : k))) : 0.f) * slope[k] + offset[k];
      values.v[k] = from_float<T>(value);
    }
    if constexpr (N == 4) {
      y.template store_group<4>(i * 4, values);
    } else {
      GRAFT_UNROLL
      for (int k = 0; k < 4; ++k)
        if (k < channels) y.store(i * channels + k, values.v[k]);
      for (int64_t k = 4; k < channels; ++k) y.store(i * channels + k, from_float<T>(0.f));
    }
  }
};

const char* declines(const ExecContext&, const ops::ImageInputArgs& args) { return declines_image(args.y); }

void forward(ExecContext&, ops::ImageInputArgs& args) {
  ops::check_image_input(args);
  const ops::ImageInputAttributes& a = args.attributes;
  const Shape &from = args.pixels.shape(), &to = args.y.shape();
  visit_kernel_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto n) {
      ImageInput<T, n()> kernel{span<uint8_t>(args.pixels), span<int32_t>(args.places), mutable_span<T>(args.y), from[1], from[2], from[3], to[1], to[2], to[3],
                                {}, {}, a.bgr};
      for (size_t k = 0; k < 4; ++k) {
        kernel.slope[k] = static_cast<float>(a.scale / a.deviation[k]);
        kernel.offset[k] = static_cast<float>(-a.mean[k] / a.deviation[k]);
      }
      launch_map(device_of(args.y), to[0] * to[2] * to[3], kernel);
    };
    if (to[1] == 4 && is_aligned(args.y)) run(std::integral_constant<int, 4>{});
    else run(std::integral_constant<int, 1>{});
  });
}

}  // namespace

void register_image_input(KernelSet& set) { set.image_input.forward.add({"cuda", declines, forward}); }

}  // namespace graft::cuda
