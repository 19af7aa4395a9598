// Decoded images to a network's input: a thread a pixel of the result.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/pixel_grid.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/image_input.h"

namespace graft::cuda {
namespace {

// Where the pixels of the result lie in the images.
struct ImageCrops {
  Span<const uint8_t> pixels;
  Span<const int32_t> places;  // or empty
  int64_t h, w, c, rows, columns;
  PixelGrid grid;  // of the result
  // The first channel of result pixel i = (n * rows + p) * columns + q; -1: outside of the image.
  GRAFT_HD int64_t source(int64_t i) const {
    const auto [n, p, q] = grid.pixel(i);
    const int64_t place = n * ops::kImagePlace;
    const bool mirror = places && places.load(place + ops::mirrored) != 0;
    const int64_t row = p + (places ? places.load(place + ops::top) : 0);
    const int64_t column =
        (mirror ? columns - 1 - q : q) + (places ? places.load(place + ops::left) : 0);
    return row < 0 || row >= h || column < 0 || column >= w ? -1 : ((n * h + row) * w + column) * c;
  }
};

// Changes of colour, in doubles as io/augment.cpp has them, so that both give the same grey levels.
struct ImageColours {
  Span<const double> factors;  // [N, kImageColour]
  Span<const int32_t> means;   // [N], the crop's grey after brightness

  struct Pixel {
    double v[3];
  };
  GRAFT_HD static double blended(double target, double value, double factor) {
    return floor(fmin(fmax(target + (value - target) * factor + 0.5, 0.), 255.));
  }
  GRAFT_HD static double grey(const Pixel& p, int64_t channels) {
    return channels == 1 ? p.v[0] : 0.299 * p.v[0] + 0.587 * p.v[1] + 0.114 * p.v[2];
  }
  GRAFT_HD double factor(int64_t n, int which) const {
    return factors.load(n * ops::kImageColour + which);
  }
  GRAFT_HD static void blend(Pixel& p, double target, double factor) {
    GRAFT_UNROLL
    for (int k = 0; k < 3; ++k) p.v[k] = blended(target, p.v[k], factor);
  }
  // The pixel at `from` of sample n after brightness; black where from < 0.
  GRAFT_HD Pixel brightened(const ImageCrops& crops, int64_t n, int64_t from) const {
    Pixel p{};
    GRAFT_UNROLL
    for (int k = 0; k < 3; ++k)
      if (k < crops.c && from >= 0) p.v[k] = crops.pixels.load(from + k);
    if (factor(n, ops::brightness) != 1) blend(p, 0, factor(n, ops::brightness));
    return p;
  }
  GRAFT_HD Pixel changed(const ImageCrops& crops, int64_t n, int64_t from) const {
    Pixel p = brightened(crops, n, from);
    if (factor(n, ops::contrast) != 1) blend(p, means.load(n), factor(n, ops::contrast));
    if (factor(n, ops::saturation) != 1 && crops.c == 3)
      blend(p, grey(p, 3), factor(n, ops::saturation));
    return p;
  }
};

// The mean grey of each sample's crop after brightness, a block a sample: exact sums of
// thousandths, in any order.
struct ImageMeans {
  static constexpr const char* name = "image_input, means";
  static constexpr bool cooperates = true;
  static constexpr int shared_bytes = kThreads * static_cast<int>(sizeof(int64_t));
  struct Args {
    ImageCrops crops;
    ImageColours colours;
    Span<int32_t> means;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto sums = t.template shared<int64_t>(kThreads);
    const int64_t n = t.block(), count = a.crops.rows * a.crops.columns;
    int64_t sum = 0;
    for (int64_t i = t.thread(); i < count; i += t.threads()) {
      const ImageColours::Pixel p = a.colours.brightened(a.crops, n, a.crops.source(n * count + i));
      const auto r = static_cast<int64_t>(p.v[0]), g = static_cast<int64_t>(p.v[1]),
                 b = static_cast<int64_t>(p.v[2]);
      sum += a.crops.c == 1 ? 1000 * r : 299 * r + 587 * g + 114 * b;
    }
    sums.set(t.thread(), sum);
    for (int half = t.threads() / 2; half > 0; half /= 2) {
      t.sync();
      if (t.thread() < half)
        sums.set(t.thread(), sums.get(t.thread()) + sums.get(t.thread() + half));
    }
    if (t.thread() == 0)
      a.means.store(
          n, static_cast<int32_t>(floor(
                 static_cast<double>(sums.get(0)) / (1000. * static_cast<double>(count)) + 0.5)));
  }
};

// N: channels of the result that are stored at once (4 where it has 4), else 1.
template <class T, int N, bool coloured>
struct ImageInput {
  static constexpr const char* name = "image_input";
  static constexpr int group = 1;
  ImageCrops crops;
  ImageColours colours;
  Span<T> y;
  int64_t channels;
  float slope[4], offset[4];  // value = pixel * slope + offset
  bool bgr;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t from = crops.source(i), c = crops.c;
    Group<float, 4> pixel{};
    if constexpr (coloured) {
      const ImageColours::Pixel p = colours.changed(crops, crops.grid.pixel(i).image, from);
      const bool reversed = bgr && c == 3;
      pixel.v[0] = static_cast<float>(reversed ? p.v[2] : p.v[0]);
      pixel.v[1] = static_cast<float>(p.v[1]);
      pixel.v[2] = static_cast<float>(reversed ? p.v[0] : p.v[2]);
    } else {
      GRAFT_UNROLL
      for (int k = 0; k < 4; ++k)
        if (k < c && from >= 0)
          pixel.v[k] = to_float(crops.pixels.load(from + (bgr ? c - 1 - k : k)));
    }
    Group<T, 4> values;
    GRAFT_UNROLL
    for (int k = 0; k < 4; ++k)
      values.v[k] = from_float<T>(k < c ? pixel.v[k] * slope[k] + offset[k] : 0.f);
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

const char* declines(const ExecContext&, const ops::ImageInputArgs& args) {
  if (const char* reason = declines_image(args.y)) return reason;
  return args.y.size(0) * args.y.size(2) * args.y.size(3) >= kMostPixels ? "too many pixels"
                                                                         : nullptr;
}

void forward(ExecContext&, ops::ImageInputArgs& args) {
  ops::check_image_input(args);
  const gpu::OperationName operation("image_input");
  const ops::ImageInputAttributes& a = args.attributes;
  const Shape &from = args.pixels.shape(), &to = args.y.shape();
  gpu::Device& device = device_of(args.y);
  const ImageCrops crops{span<uint8_t>(args.pixels),
                         span<int32_t>(args.places),
                         from[1],
                         from[2],
                         from[3],
                         to[2],
                         to[3],
                         PixelGrid::of(std::max<int64_t>(to[2], 1), std::max<int64_t>(to[3], 1))};
  ImageColours colours{span<double>(args.colours), {}};
  Tensor means;
  if (args.colours && args.y.numel() > 0) {
    means = Tensor::empty({to[0]}, {.dtype = DType::i32, .device = args.y.device()});
    launch<ImageMeans>(device, to[0], kThreads, {crops, colours, mutable_span<int32_t>(means)},
                       ImageMeans::shared_bytes);
    colours.means = span<int32_t>(means);
  }
  visit_kernel_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = [&](auto n, auto coloured) {
      ImageInput<T, n(), coloured()> kernel{crops, colours, mutable_span<T>(args.y), to[1], {},
                                            {},    a.bgr};
      for (size_t k = 0; k < 4; ++k) {
        kernel.slope[k] = static_cast<float>(a.scale / a.deviation[k]);
        kernel.offset[k] = static_cast<float>(-a.mean[k] / a.deviation[k]);
      }
      launch_map(device, to[0] * to[2] * to[3], kernel);
    };
    const auto run_grouped = [&](auto n) {
      if (args.colours)
        run(n, std::true_type{});
      else
        run(n, std::false_type{});
    };
    if (to[1] == 4 && is_aligned(args.y))
      run_grouped(std::integral_constant<int, 4>{});
    else
      run_grouped(std::integral_constant<int, 1>{});
  });
}

}  // namespace

void register_image_input(KernelSet& set) {
  set.image_input.forward.add({"cuda", declines, forward});
}

}  // namespace graft::cuda
