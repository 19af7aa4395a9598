// Operators that read images between their pixels: Resize, GridSample, RoiAlign.
#include "graft/layers/functional/image.h"

#include <cmath>

#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

using functional::NearestRounding;
using functional::ResizeAxis;
using functional::ResizeCoordinates;
using functional::ResizeMode;
using functional::ResizeOptions;

template <class T>
T named(const char* what, const std::string& name,
        std::initializer_list<std::pair<const char*, T>> known) {
  for (const auto& [word, value] : known)
    if (name == word) return value;
  bad_input(what, " ", name, " is not supported");
}

ResizeMode resize_mode(const std::string& name) {
  return named<ResizeMode>("mode", name,
                           {{"nearest", ResizeMode::nearest},
                            {"linear", ResizeMode::linear},
                            {"bilinear", ResizeMode::linear},
                            {"cubic", ResizeMode::cubic}});
}

ResizeOptions resize_options(const OpCall& call) {
  ResizeOptions options;
  options.mode = resize_mode(call.text("mode", "nearest"));
  options.coordinates = named<ResizeCoordinates>(
      "coordinate_transformation_mode", call.text("coordinate_transformation_mode", "half_pixel"),
      {{"half_pixel", ResizeCoordinates::half_pixel},
       {"half_pixel_symmetric", ResizeCoordinates::half_pixel_symmetric},
       {"pytorch_half_pixel", ResizeCoordinates::pytorch_half_pixel},
       {"align_corners", ResizeCoordinates::align_corners},
       {"asymmetric", ResizeCoordinates::asymmetric},
       {"tf_crop_and_resize", ResizeCoordinates::tf_crop_and_resize}});
  options.rounding =
      named<NearestRounding>("nearest_mode", call.text("nearest_mode", "round_prefer_floor"),
                             {{"round_prefer_floor", NearestRounding::round_prefer_floor},
                              {"round_prefer_ceil", NearestRounding::round_prefer_ceil},
                              {"floor", NearestRounding::floor},
                              {"ceil", NearestRounding::ceil}});
  options.cubic_a = call.real("cubic_coeff_a", -0.75);
  options.exclude_outside = call.integer("exclude_outside", 0) != 0;
  options.antialias = call.integer("antialias", 0) != 0;
  options.extrapolation = call.real("extrapolation_value", 0);
  return options;
}

int64_t whole_extent(double extent) {
  GRAFT_CHECK(extent >= 0 && extent < 1e15, "an extent of ", extent);
  return static_cast<int64_t>(extent);
}

// The extent that a float scale gives, in float as ONNX's own implementation.
ResizeAxis scaled(int axis, int64_t extent, double scale) {
  GRAFT_CHECK(scale > 0 && scale < 1e9, "a scale of ", scale);
  return {
      .axis = axis,
      .extent = whole_extent(std::floor(static_cast<float>(extent) * static_cast<float>(scale))),
      .scale = scale};
}

Tensor resize_checked(const OpCall& call, const std::vector<ResizeAxis>& axes,
                      const ResizeOptions& options) {
  int64_t elements = call.in(0).numel();
  for (const ResizeAxis& a : axes)
    elements =
        checked_mul(elements / std::max<int64_t>(call.in(0).shape()[a.axis], 1) + 1, a.extent);
  call.check_size(elements);
  return functional::resize(call.in(0), axes, options);
}

// Upsample, and Resize of opset 10: scales of every axis, places counted from the corner, rounded
// down.
OpOutputs upsample_op(const OpCall& call) {
  const Tensor& x = call.in(0);
  std::vector<double> scales;
  if (call.has(1))
    scales = call.in(1).to_doubles();
  else if (const auto* attribute = call.node().find("scales"))
    scales.assign(attribute->floats.begin(), attribute->floats.end());
  GRAFT_CHECK(std::ssize(scales) == x.rank(), scales.size(), " scales for ", x.shape());
  std::vector<ResizeAxis> axes;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (scales[static_cast<size_t>(axis)] != 1)
      axes.push_back(scaled(axis, x.shape()[axis], scales[static_cast<size_t>(axis)]));
  const ResizeOptions options{.mode = resize_mode(call.text("mode", "nearest")),
                              .coordinates = ResizeCoordinates::asymmetric,
                              .rounding = NearestRounding::floor};
  return {resize_checked(call, axes, options)};
}

// Sizes to extents; a policy that keeps the aspect ratio makes them one scale for all.
void apply_sizes(const OpCall& call, const std::vector<int64_t>& sizes,
                 std::vector<ResizeAxis>& axes) {
  const Shape& shape = call.in(0).shape();
  GRAFT_CHECK(sizes.size() == axes.size(), sizes.size(), " sizes for ", axes.size(), " axes");
  const std::string policy = call.text("keep_aspect_ratio_policy", "stretch");
  GRAFT_CHECK(policy == "stretch" || policy == "not_larger" || policy == "not_smaller",
              "keep_aspect_ratio_policy ", policy);
  double common = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    GRAFT_CHECK(shape[axes[i].axis] > 0 && sizes[i] >= 0, "sizes [", join(sizes), "] for ", shape);
    axes[i].extent = sizes[i];
    axes[i].scale = static_cast<double>(sizes[i]) / static_cast<double>(shape[axes[i].axis]);
    common = i == 0                   ? axes[i].scale
             : policy == "not_larger" ? std::min(common, axes[i].scale)
                                      : std::max(common, axes[i].scale);
  }
  if (policy == "stretch") return;
  for (ResizeAxis& a : axes) {
    a.scale = common;
    a.extent = whole_extent(std::floor(common * static_cast<double>(shape[a.axis]) + 0.5));
  }
}

OpOutputs resize_op(const OpCall& call) {
  if (call.opset() < 11) return upsample_op(call);
  const Tensor& x = call.in(0);
  std::vector<int64_t> which = call.integers("axes");
  if (which.empty())
    for (int axis = 0; axis < x.rank(); ++axis) which.push_back(axis);
  std::vector<ResizeAxis> axes;
  for (const int64_t axis : which) axes.push_back({.axis = at_axis(axis, x.rank())});
  if (call.has(2) && call.in(2).numel() > 0) {
    const std::vector<double> scales = call.in(2).to_doubles();
    GRAFT_CHECK(scales.size() == axes.size(), scales.size(), " scales for ", axes.size(), " axes");
    for (size_t i = 0; i < axes.size(); ++i)
      axes[i] = scaled(axes[i].axis, x.shape()[axes[i].axis], scales[i]);
  } else {
    apply_sizes(call, call.numbers(3), axes);
  }
  const ResizeOptions options = resize_options(call);
  const bool crops = options.coordinates == ResizeCoordinates::tf_crop_and_resize;
  if (crops) {
    const std::vector<double> roi = call.in(1).to_doubles();
    GRAFT_CHECK(roi.size() == 2 * axes.size(), "a box of ", roi.size(), " numbers for ",
                axes.size(), " axes");
    for (size_t i = 0; i < axes.size(); ++i) {
      axes[i].roi_begin = roi[i];
      axes[i].roi_end = roi[axes.size() + i];
    }
  } else {
    std::erase_if(
        axes, [&](const ResizeAxis& a) { return a.scale == 1 && a.extent == x.shape()[a.axis]; });
  }
  return {resize_checked(call, axes, options)};
}

OpOutputs grid_sample_op(const OpCall& call) {
  ops::GridSampleAttributes attributes;
  attributes.mode = named<ops::SampleMode>("mode", call.text("mode", "linear"),
                                           {{"linear", ops::SampleMode::linear},
                                            {"bilinear", ops::SampleMode::linear},
                                            {"nearest", ops::SampleMode::nearest},
                                            {"cubic", ops::SampleMode::cubic},
                                            {"bicubic", ops::SampleMode::cubic}});
  attributes.padding = named<ops::SamplePadding>("padding_mode", call.text("padding_mode", "zeros"),
                                                 {{"zeros", ops::SamplePadding::zeros},
                                                  {"border", ops::SamplePadding::border},
                                                  {"reflection", ops::SamplePadding::reflection}});
  attributes.align_corners = call.integer("align_corners", 0) != 0;
  return {functional::grid_sample(call.in(0), call.in(1), attributes)};
}

OpOutputs affine_grid_op(const OpCall& call) {
  const std::vector<int64_t> size = call.numbers(1);
  GRAFT_CHECK(size.size() >= 4, "size [", join(size), "]");
  call.check_size(Shape(size).numel());
  return {functional::affine_grid(call.in(0), std::span(size).subspan(2),
                                  call.integer("align_corners", 0) != 0)};
}

OpOutputs roi_align_op(const OpCall& call) {
  ops::RoiAlignAttributes attributes;
  attributes.height = call.integer("output_height", 1);
  attributes.width = call.integer("output_width", 1);
  attributes.sampling_ratio = call.integer("sampling_ratio", 0);
  attributes.spatial_scale = call.real("spatial_scale", 1);
  GRAFT_CHECK(attributes.sampling_ratio >= 0 && attributes.sampling_ratio <= 128, "sampling_ratio ",
              attributes.sampling_ratio, " is not in 0 to 128");
  attributes.max = named<bool>("mode", call.text("mode", "avg"), {{"avg", false}, {"max", true}});
  attributes.half_pixel =
      named<bool>("coordinate_transformation_mode",
                  call.text("coordinate_transformation_mode",
                            call.opset() < 16 ? "output_half_pixel" : "half_pixel"),
                  {{"half_pixel", true}, {"output_half_pixel", false}});
  return {functional::roi_align(call.in(0), call.in(1), call.in(2), attributes)};
}

constexpr const char* kResizeAttributes =
    "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside "
    "extrapolation_value keep_aspect_ratio_policy mode nearest_mode";

constexpr Operator kImages[] = {
    reading({"Resize", resize_op, kResizeAttributes, Layout::any}, {1, 2, 3}),
    reading({"Upsample", upsample_op, "mode scales", Layout::any}, {1}),
    {"GridSample", grid_sample_op, "align_corners mode padding_mode"},
    reading({"AffineGrid", affine_grid_op, "align_corners"}, {1}),
    {"RoiAlign", roi_align_op,
     "coordinate_transformation_mode mode output_height output_width sampling_ratio spatial_scale"},
};

}  // namespace

OperatorTable image_operators() { return kImages; }

}  // namespace graft::models::graph
