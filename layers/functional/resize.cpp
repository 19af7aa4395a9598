// functional::resize: ONNX's Resize as one resample an axis, and its Node. Formulas: ONNX's
// operator definition.
#include <algorithm>
#include <cmath>

#include "graft/core/autograd/record.h"
#include "graft/kernels/ops/resample.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/axes.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"

namespace graft::functional {
namespace {

class ResampleNode final : public Node {
 public:
  ResampleNode(const Tensor& x, ops::ResampleAttributes attributes)
      : shape_(x.shape()), options_(x.options()), attributes_(std::move(attributes)) {}
  const char* name() const override { return "resample"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty(shape_, options_);
    kernels_for<ops::ResampleKernels>(dx).backward(current_context(),
                                                   {grads[0].to(options_.format), attributes_, dx});
    return {dx};
  }
  void release() override {}

 private:
  Shape shape_;
  TensorOptions options_;
  ops::ResampleAttributes attributes_;
};

// The input place of output element i.
double source_place(double i, double in, const ResizeAxis& axis, ResizeCoordinates coordinates) {
  const double out = axis.scale * in;  // not rounded
  switch (coordinates) {
    case ResizeCoordinates::align_corners: return out == 1 ? 0 : i * (in - 1) / (out - 1);
    case ResizeCoordinates::asymmetric: return i / axis.scale;
    case ResizeCoordinates::tf_crop_and_resize: {
      const double span = (axis.roi_end - axis.roi_begin) * (in - 1);
      return axis.roi_begin * (in - 1) + (out == 1 ? span / 2 : i * span / (out - 1));
    }
    case ResizeCoordinates::pytorch_half_pixel:
      if (out == 1) return -0.5;
      break;
    case ResizeCoordinates::half_pixel_symmetric:
      return in / 2 * (1 - static_cast<double>(axis.extent) / out) + (i + 0.5) / axis.scale - 0.5;
    case ResizeCoordinates::half_pixel: break;
  }
  return (i + 0.5) / axis.scale - 0.5;
}

double cubic_weight(double distance, double a) {
  const double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

// Of two neighbours at distances `ratio` (from the left one, in (0,1]) and 1 - ratio, the right one
// is taken.
bool takes_right(double ratio, NearestRounding rounding) {
  if (ratio == 1) return true;
  switch (rounding) {
    case NearestRounding::round_prefer_floor: return ratio > 0.5;
    case NearestRounding::round_prefer_ceil: return ratio >= 0.5;
    case NearestRounding::floor: return false;
    case NearestRounding::ceil: break;
  }
  return true;
}

// Weights of the elements left - reach + 1 ... left + reach around a place `ratio` to the right of
// `left`.
std::vector<double> filter_weights(double ratio, double scale, const ResizeOptions& options) {
  if (options.mode == ResizeMode::nearest) {
    const bool right = takes_right(ratio, options.rounding);
    return {right ? 0.0 : 1.0, right ? 1.0 : 0.0};
  }
  const bool cubic = options.mode == ResizeMode::cubic;
  const double shrink = options.antialias ? std::min(scale, 1.0) : 1, support = cubic ? 2 : 1;
  const auto reach = static_cast<int64_t>(std::ceil(support / shrink));
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 1 - reach; i <= reach; ++i) {
    const double distance = shrink * (static_cast<double>(i) - ratio);
    weights.push_back(cubic ? cubic_weight(distance, options.cubic_a)
                            : std::max(0.0, 1 - std::abs(distance)));
    sum += weights.back();
  }
  if (options.antialias)
    for (double& weight : weights) weight /= sum;
  return weights;
}

void add_taps(double place, int64_t in, double scale, const ResizeOptions& options,
              ops::ResampleAttributes& attributes) {
  const double left = std::ceil(place) - 1;  // the largest whole number below the place
  std::vector<double> weights = filter_weights(place - left, scale, options);
  const int64_t begin = static_cast<int64_t>(left) + 1 - static_cast<int64_t>(weights.size()) / 2;
  if (options.exclude_outside) {
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const int64_t at = begin + static_cast<int64_t>(i);
      if (at < 0 || at >= in) weights[i] = 0;
      sum += weights[i];
    }
    for (double& weight : weights) weight /= sum == 0 ? 1 : sum;
  }
  const size_t start = attributes.positions.size();
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    const int64_t at = std::clamp<int64_t>(begin + static_cast<int64_t>(i), 0, in - 1);
    if (attributes.positions.size() > start && attributes.positions.back() == at) {
      attributes.weights.back() += weights[i];
    } else {
      attributes.positions.push_back(at);
      attributes.weights.push_back(weights[i]);
    }
  }
  if (attributes.positions.size() ==
      start) {  // all weights are 0, but it is not an outside element
    attributes.positions.push_back(std::clamp<int64_t>(begin, 0, in - 1));
    attributes.weights.push_back(0);
  }
}

ops::ResampleAttributes taps_of(const ResizeAxis& axis, int64_t in, const ResizeOptions& options) {
  ops::ResampleAttributes attributes{
      .axis = axis.axis, .positions = {}, .fill = options.extrapolation};
  const auto extent = static_cast<double>(in);
  reserve_positions("resize", attributes.first, checked_add(axis.extent, 1));
  const double reach =
      2 / (options.antialias ? std::min(axis.scale, 1.0) : 1);  // at most, on each side of a place
  const auto taps = static_cast<int64_t>(std::min(2 * reach + 2, extent));
  charge_allocation(
      checked_mul(axis.extent, taps * static_cast<int64_t>(sizeof(int64_t) + sizeof(double))));
  for (int64_t i = 0; i < axis.extent; ++i) {
    const double place = source_place(static_cast<double>(i), extent, axis, options.coordinates);
    GRAFT_CHECK(std::abs(place) < 0x1p52, "resize: element ", i, " of axis ", axis.axis,
                " comes from place ", place);
    const bool outside = options.coordinates == ResizeCoordinates::tf_crop_and_resize &&
                         (place < 0 || place > extent - 1);
    if (!outside) add_taps(place, in, axis.scale, options, attributes);
    attributes.first.push_back(static_cast<int64_t>(attributes.positions.size()));
  }
  return attributes;
}

Replay replay_resample(const ReplaySite& site) {
  const auto a = site.as<ops::ResampleAttributes>();
  if (a.axis == 0) return Replay::mixes_samples();
  return {[a](const auto& in) { return resample(in[0], a); }, {}};
}

}  // namespace

Tensor resample(const Tensor& x, const ops::ResampleAttributes& attributes) {
  Tensor y = Tensor::empty(ops::resample_output_shape(x.shape(), attributes), x.options());
  kernels_for<ops::ResampleKernels>(x).forward(current_context(), {x, attributes, y});
  return record(attributes, replay_resample, {x}, y,
                [&] { return std::make_shared<ResampleNode>(x, attributes); });
}

Tensor resize(const Tensor& x, std::span<const ResizeAxis> axes, const ResizeOptions& options) {
  if (!is_floating(x.dtype()))
    return cast(unary(resize(cast(x, DType::f64), axes, options), ops::Unary::round), x.dtype());
  Tensor y = x;
  for (ResizeAxis axis : axes) {
    axis.axis = axis_of("resize", axis.axis, x.rank());
    const int64_t in = y.shape()[axis.axis];
    GRAFT_CHECK(axis.extent >= 0 && axis.scale > 0 && std::isfinite(axis.scale) &&
                    (in > 0 || axis.extent == 0),
                "resize: axis ", axis.axis, " of ", x.shape(), " to ", axis.extent,
                " elements at scale ", axis.scale);
    GRAFT_CHECK(!options.antialias || axis.scale * 0x1p20 > 1,
                "resize: an antialiasing filter of scale ", axis.scale);
    const bool whole = axis.roi_begin == 0 && axis.roi_end == 1;
    if (axis.extent == in && std::abs(axis.scale - 1) < 1e-9 && whole) continue;
    y = resample(y, taps_of(axis, in, options));
  }
  return y;
}

namespace {

ResizeOptions interpolation_options(ResizeMode mode, bool align_corners) {
  ResizeOptions options{.mode = mode};
  if (mode == ResizeMode::nearest)
    options.coordinates = ResizeCoordinates::asymmetric, options.rounding = NearestRounding::floor;
  else if (align_corners)
    options.coordinates = ResizeCoordinates::align_corners;
  return options;
}

ResizeAxis interpolation_axis(int axis, int64_t in, int64_t out) {
  return {.axis = axis, .extent = out, .scale = static_cast<double>(out) / static_cast<double>(in)};
}

}  // namespace

ops::ResampleAttributes interpolation(int axis, int64_t in, int64_t out, ResizeMode mode,
                                      bool align_corners) {
  return taps_of(interpolation_axis(axis, in, out), in, interpolation_options(mode, align_corners));
}

Tensor interpolate(const Tensor& x, std::span<const int64_t> extents, ResizeMode mode,
                   bool align_corners) {
  GRAFT_CHECK(x.rank() >= 3 && static_cast<int>(extents.size()) == x.rank() - 2,
              "interpolate: ", extents.size(), " extents for ", x.shape());
  std::vector<ResizeAxis> axes;
  for (int axis = 2; axis < x.rank(); ++axis) {
    const int64_t extent = extents[static_cast<size_t>(axis) - 2];
    GRAFT_CHECK(extent > 0 && x.shape()[axis] > 0, "interpolate: ", x.shape(), " to extent ",
                extent);
    axes.push_back(interpolation_axis(axis, x.shape()[axis], extent));
  }
  return resize(x, axes, interpolation_options(mode, align_corners));
}

}  // namespace graft::functional
