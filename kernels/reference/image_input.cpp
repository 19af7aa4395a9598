// Image input, pixel after pixel.
#include "graft/kernels/ops/image_input.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::ops {

void check_image_input(const ImageInputArgs& args) {
  const Shape &x = args.pixels.shape(), &y = args.y.shape();
  const bool fits =
      x.rank() == 4 && y.rank() == 4 && x[0] == y[0] && x[3] >= 1 && x[3] <= 4 && y[1] >= x[3];
  GRAFT_CHECK(fits && args.pixels.dtype() == DType::u8 &&
                  args.pixels.format() == MemoryFormat::contiguous &&
                  args.y.format() == MemoryFormat::channels_last,
              "image_input: ", name_of(args.pixels.dtype()), " pixels ", x, " for an input ", y);
  GRAFT_CHECK(!args.places || (args.places->dtype() == DType::i32 &&
                               args.places->shape() == Shape{x[0], kImagePlace}),
              "image_input: places ", args.places ? args.places->shape() : Shape{}, " for ", x[0],
              " images");
  GRAFT_CHECK(!args.colours || ((x[3] == 1 || x[3] == 3) && args.colours->dtype() == DType::f64 &&
                                args.colours->shape() == Shape{x[0], kImageColour}),
              "image_input: colours ", args.colours ? args.colours->shape() : Shape{},
              " for images ", x);
}

}  // namespace graft::ops

namespace graft::reference {
namespace {

// A crop's pixels, [rows][columns][channels], as whole numbers in doubles.
struct Crop {
  int64_t rows, columns, channels;
  std::vector<double> values;
  double* pixel(int64_t i) { return &values[static_cast<size_t>(i * channels)]; }
  double grey(int64_t i) {
    const double* p = pixel(i);
    return channels == 1 ? p[0] : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
  }
};

// Every pixel blended with `towards(i)`, rounded to a grey level.
template <class Towards>
void blend(Crop& crop, double factor, Towards towards) {
  for (int64_t i = 0; i < crop.rows * crop.columns; ++i) {
    const double target = towards(i);
    for (double* p = crop.pixel(i); p < crop.pixel(i) + crop.channels; ++p)
      *p = std::floor(std::clamp(target + (*p - target) * factor + 0.5, 0.0, 255.0));
  }
}

void change_colours(Crop& crop, const double* factors) {
  if (factors[ops::brightness] != 1)
    blend(crop, factors[ops::brightness], [](int64_t) { return 0.0; });
  if (factors[ops::contrast] != 1) {
    double sum = 0;
    for (int64_t i = 0; i < crop.rows * crop.columns; ++i) sum += crop.grey(i);
    const double mean = std::floor(sum / static_cast<double>(crop.rows * crop.columns) + 0.5);
    blend(crop, factors[ops::contrast], [mean](int64_t) { return mean; });
  }
  if (factors[ops::saturation] != 1 && crop.channels == 3)
    blend(crop, factors[ops::saturation], [&](int64_t i) { return crop.grey(i); });
}

// Sample n's crop, mirrored; black outside of the image.
Crop crop_of(const ops::ImageInputArgs& args, int64_t n) {
  const Shape &from = args.pixels.shape(), &to = args.y.shape();
  const int64_t h = from[1], w = from[2], c = from[3], rows = to[2], columns = to[3];
  const auto* pixels = args.pixels.data<uint8_t>();
  const int32_t* place =
      args.places ? args.places->data<int32_t>() + n * ops::kImagePlace : nullptr;
  Crop crop{rows, columns, c, std::vector<double>(static_cast<size_t>(rows * columns * c))};
  for (int64_t p = 0; p < rows; ++p)
    for (int64_t q = 0; q < columns; ++q) {
      const bool mirror = place && place[ops::mirrored] != 0;
      const int64_t row = p + (place ? place[ops::top] : 0),
                    column = (mirror ? columns - 1 - q : q) + (place ? place[ops::left] : 0);
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      std::copy_n(pixels + ((n * h + row) * w + column) * c, c, crop.pixel(p * columns + q));
    }
  return crop;
}

void forward(ExecContext&, ops::ImageInputArgs& args) {
  ops::check_image_input(args);
  const ops::ImageInputAttributes& a = args.attributes;
  const Shape& to = args.y.shape();
  const int64_t c = args.pixels.size(3), channels = to[1];
  visit_floating(args.y.dtype(), "image_input", [&](auto zero) {
    using T = decltype(zero);
    T* y = args.y.mutable_data<T>();
    for (int64_t n = 0; n < to[0]; ++n) {
      Crop crop = crop_of(args, n);
      if (args.colours) change_colours(crop, args.colours->data<double>() + n * ops::kImageColour);
      for (int64_t i = 0; i < crop.rows * crop.columns; ++i)
        for (int64_t k = 0; k < channels; ++k) {
          const auto at = static_cast<size_t>(k);
          const double value =
              k < c
                  ? (crop.pixel(i)[a.bgr ? c - 1 - k : k] * a.scale - a.mean[at]) / a.deviation[at]
                  : 0;
          y[(n * crop.rows * crop.columns + i) * channels + k] = convert<T>(value);
        }
    }
  });
}

}  // namespace

void register_image_input(ops::ImageInputKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
}

}  // namespace graft::reference
