// Image input, pixel after pixel.
#include "graft/kernels/ops/image_input.h"

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::ops {

void check_image_input(const ImageInputArgs& args) {
  const Shape &x = args.pixels.shape(), &y = args.y.shape();
  const bool fits = x.rank() == 4 && y.rank() == 4 && x[0] == y[0] && x[3] >= 1 && x[3] <= 4 && y[1] >= x[3];
  GRAFT_CHECK(fits && args.pixels.dtype() == DType::u8 && args.pixels.format() == MemoryFormat::contiguous && args.y.format() == MemoryFormat::channels_last,
              "image_input: ", name_of(args.pixels.dtype()), " pixels ", x, " for an input ", y);
  GRAFT_CHECK(!args.places || (args.places->dtype() == DType::i32 && args.places->shape() == Shape{x[0], kImagePlace}), "image_input: places ",
              args.places ? args.places->shape() : Shape{}, " for ", x[0], " images");
}

}  // namespace graft::ops

namespace graft::reference {
namespace {

void forward(ExecContext&, ops::ImageInputArgs& args) {
  ops::check_image_input(args);
  const ops::ImageInputAttributes& a = args.attributes;
  const Shape &from = args.pixels.shape(), &to = args.y.shape();
  const int64_t h = from[1], w = from[2], c = from[3], channels = to[1], rows = to[2], columns = to[3];
  const auto* pixels = args.pixels.data<uint8_t>();
  const int32_t* places = args.places ? args.places->data<int32_t>() : nullptr;
  visit_floating(args.y.dtype(), "image_input", [&](auto zero) {
    using T = decltype(zero);
    T* y = args.y.mutable_data<T>();
    for (int64_t n = 0; n < to[0]; ++n) {
      const int32_t* place = places ? places + n * ops::kImagePlace : nullptr;
      for (int64_t p = 0; p < rows; ++p)
        for (int64_t q = 0; q < columns; ++q) {
          const bool mirror = place && place[ops::mirrored] != 0;
          const int64_t row = p + (place ? place[ops::top] : 0), column = (mirror ? columns - 1 - q : q) + (place ? place[ops::left] : 0);
          const bool inside = row >= 0 && row < h && column >= 0 && column < w;
          for (int64_t k = 0; k < channels; ++k) {
            double value = 0;
            if (k < c) {
              const auto at = static_cast<size_t>(k);
              const double pixel = inside ? pixels[((n * h + row) * w + column) * c + (a.bgr ? c - 1 - k : k)] : 0;
              value = (pixel * a.scale - a.mean[at]) / a.deviation[at];
            }
            y[((n * rows + p) * columns + q) * channels + k] = convert<T>(value);
          }
        }
    }
  });
}

}  // namespace

void register_image_input(KernelSet& set) { set.image_input.forward.add({"reference", takes_all, forward}); }

}  // namespace graft::reference
