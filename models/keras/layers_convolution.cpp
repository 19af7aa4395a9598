// Convolutions and dense layers.
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"
#include "graft/models/keras/layers.h"
#include "graft/models/naming/permuted.h"

namespace graft::models::keras {
namespace {

struct Windows {
  std::vector<int64_t> kernel, strides, dilations;
  bool same = false, causal = false;
};

Windows windows_of(const LayerCall& call, size_t axes) {
  const LayerSettings& s = call.settings();
  Windows w{.kernel = s.per_axis("kernel_size", axes, 1),
            .strides = s.per_axis("strides", axes, 1),
            .dilations = s.per_axis("dilation_rate", axes, 1)};
  const std::string padding = s.text("padding", "valid");
  w.same = padding == "same";
  w.causal = padding == "causal" && axes == 1;
  GRAFT_CHECK(w.same || w.causal || padding == "valid", "its padding is ", padding);
  for (size_t i = 0; i < axes; ++i)
    GRAFT_CHECK(w.kernel[i] >= 1 && w.strides[i] >= 1 && w.dilations[i] >= 1 &&
                    std::max({w.kernel[i], w.strides[i], w.dilations[i]}) <= 65'536,
                "its window, strides or dilations are out of range");
  return w;
}

Attributes attributes_of(const Windows& w) {
  Attributes attributes{ints("kernel_shape", w.kernel), ints("strides", w.strides),
                        ints("dilations", w.dilations)};
  if (w.same) attributes.push_back(text("auto_pad", "SAME_UPPER"));
  if (w.causal)
    attributes.push_back(ints("pads", {checked_mul(w.kernel[0] - 1, w.dilations[0]), 0}));
  return attributes;
}

std::vector<int64_t> extents_behind(const Maps& maps, const Windows& w) {
  std::vector<int64_t> extents;
  for (size_t i = 0; i < maps.extents.size(); ++i)
    extents.push_back(
        windowed(maps.extents[i], w.kernel[i], w.strides[i], w.dilations[i], w.same || w.causal));
  return extents;
}

// Keras' kernel [..., in, out] as [out, in, ...]: the order of the last two axes and the spatial
// ones.
Tensor turned_kernel(const Tensor& kernel, bool output_first) {
  const auto axes = static_cast<size_t>(kernel.rank()) - 2;
  std::vector<size_t> order =
      output_first ? std::vector<size_t>{axes + 1, axes} : std::vector<size_t>{axes, axes + 1};
  for (size_t axis = 0; axis < axes; ++axis) order.push_back(axis);
  return permuted(kernel, order);
}

std::vector<int64_t> kernel_extents(const Windows& w, int64_t in, int64_t out) {
  std::vector<int64_t> extents = w.kernel;
  extents.push_back(in);
  extents.push_back(out);
  return extents;
}

void add_bias(LayerCall& call, int64_t channels, std::vector<std::string>& inputs) {
  if (call.settings().flag("use_bias", true))
    inputs.push_back(call.trained("bias", call.take({"bias", "b"}, {channels})));
}

template <size_t axes>
Value convolution(LayerCall& call) {
  const Maps maps = maps_of(call, axes);
  const Windows w = windows_of(call, axes);
  const int64_t groups = call.settings().integer("groups", 1);
  GRAFT_CHECK(groups >= 1 && (maps.channels < 0 || maps.channels % groups == 0), "its ", groups,
              " groups do not divide ", maps.channels, " channels");
  const Tensor kernel =
      call.take({"kernel", "W"}, kernel_extents(w, maps.channels < 0 ? -1 : maps.channels / groups,
                                                call.settings().integer("filters", -1)));
  const int64_t filters = kernel.size(axes + 1);
  std::vector<std::string> inputs{maps.value.name,
                                  call.trained("kernel", turned_kernel(kernel, true))};
  add_bias(call, filters, inputs);
  Attributes attributes = attributes_of(w);
  if (groups > 1) attributes.push_back(integer("group", groups));
  const std::string out = call.writer.node("Conv", inputs, attributes);
  return activated(call, value_of(maps, out, filters, extents_behind(maps, w)));
}

// [..., C, multiplier] as [C * multiplier, 1, ...], a group a channel.
Tensor depthwise_weight(const Tensor& kernel) {
  const Tensor filters = turned_kernel(kernel, false);
  std::vector<int64_t> extents{filters.size(0) * filters.size(1), 1};
  for (int axis = 2; axis < filters.rank(); ++axis) extents.push_back(filters.size(axis));
  return filters.reshape(Shape(extents));
}

// The depthwise part of what Keras calls so and of separable convolutions; its channels.
template <size_t axes>
std::string depthwise_node(LayerCall& call, const Maps& maps, const Windows& w, bool bias,
                           int64_t& channels) {
  const Tensor kernel =
      call.take({"depthwise_kernel", "kernel"},
                kernel_extents(w, maps.channels, call.settings().integer("depth_multiplier", 1)));
  const int64_t groups = kernel.size(axes);
  channels = checked_mul(groups, kernel.size(axes + 1));
  std::vector<std::string> inputs{maps.value.name,
                                  call.trained("depthwise_kernel", depthwise_weight(kernel))};
  if (bias) add_bias(call, channels, inputs);
  Attributes attributes = attributes_of(w);
  attributes.push_back(integer("group", groups));
  return call.writer.node("Conv", inputs, attributes);
}

template <size_t axes>
Value depthwise_convolution(LayerCall& call) {
  const Maps maps = maps_of(call, axes);
  const Windows w = windows_of(call, axes);
  int64_t channels = 0;
  const std::string out = depthwise_node<axes>(call, maps, w, true, channels);
  return activated(call, value_of(maps, out, channels, extents_behind(maps, w)));
}

template <size_t axes>
Value separable_convolution(LayerCall& call) {
  const Maps maps = maps_of(call, axes);
  const Windows w = windows_of(call, axes);
  int64_t channels = 0;
  const std::string middle = depthwise_node<axes>(call, maps, w, false, channels);
  const Windows point{.kernel = std::vector<int64_t>(axes, 1), .strides = {}, .dilations = {}};
  const Tensor kernel =
      call.take({"pointwise_kernel"},
                kernel_extents(point, channels, call.settings().integer("filters", -1)));
  const int64_t filters = kernel.size(axes + 1);
  std::vector<std::string> inputs{middle,
                                  call.trained("pointwise_kernel", turned_kernel(kernel, true))};
  add_bias(call, filters, inputs);
  const std::string out = call.writer.node("Conv", inputs);
  return activated(call, value_of(maps, out, filters, extents_behind(maps, w)));
}

// What the full result of a transposed convolution has too much of at either end, as TensorFlow
// cuts it; negative: zeros are added at the end.
struct Cut {
  int64_t begin = 0, end = 0;
};

Cut cut_of(const Windows& w, size_t i, std::optional<int64_t> more) {
  const int64_t span = (w.kernel[i] - 1) * w.dilations[i] + 1, stride = w.strides[i];
  // Of the full extent (in - 1) * stride + span.
  const int64_t total = more     ? (w.same ? span - span % 2 : 0) - *more
                        : w.same ? span - stride
                                 : span - std::max(span, stride);
  const int64_t begin = w.same && total > 0 ? total / 2 : 0;
  return {begin, total - begin};
}

template <size_t axes>
Value transposed_convolution(LayerCall& call) {
  const Maps maps = maps_of(call, axes);
  const Windows w = windows_of(call, axes);
  GRAFT_CHECK(!w.causal && call.settings().integer("groups", 1) == 1,
              "is a transposed convolution of a kind that graft does not know");
  const Tensor kernel = call.take(
      {"kernel", "W"}, kernel_extents(w, call.settings().integer("filters", -1), maps.channels));
  const int64_t filters = kernel.size(axes);
  std::vector<std::string> inputs{maps.value.name,
                                  call.trained("kernel", turned_kernel(kernel, true))};
  add_bias(call, filters, inputs);
  const bool given = call.settings().has("output_padding");
  const auto more = call.settings().per_axis("output_padding", axes, 0);
  std::vector<int64_t> pads(2 * axes, 0), added(axes, 0), extents;
  for (size_t i = 0; i < axes; ++i) {
    const Cut cut = cut_of(w, i, given ? std::optional(more[i]) : std::nullopt);
    pads[i] = cut.begin;
    pads[axes + i] = std::max<int64_t>(cut.end, 0);
    added[i] = std::max<int64_t>(-cut.end, 0);
    const int64_t in = maps.extents[i], span = (w.kernel[i] - 1) * w.dilations[i] + 1;
    extents.push_back(in < 0 ? -1 : (in - 1) * w.strides[i] + span - cut.begin - cut.end);
  }
  const std::string out = call.writer.node(
      "ConvTranspose", inputs,
      {ints("kernel_shape", w.kernel), ints("strides", w.strides), ints("dilations", w.dilations),
       ints("pads", pads), ints("output_padding", added)});
  return activated(call, value_of(maps, out, filters, extents));
}

// Over the last axis: a matrix product, which is a convolution of 1x1 where the channels stand
// first.
Value dense(LayerCall& call) {
  const Value& in = call.in();
  GRAFT_CHECK(in.rank() >= 2, "takes values of at least two axes");
  const Tensor kernel =
      call.take({"kernel", "W"}, {in.at(-1), call.settings().integer("units", -1)});
  const int64_t units = kernel.size(1);
  Value out = call.with_name(in, "");
  out.dims.back() = units;
  const bool bias = call.settings().flag("use_bias", true);
  const auto bias_name = [&] { return call.trained("bias", call.take({"bias", "b"}, {units})); };
  if (in.rank() == 2) {
    std::vector<std::string> inputs{in.name, call.trained("kernel", permuted(kernel, {1, 0}))};
    if (bias) inputs.push_back(bias_name());
    out.name = call.writer.node("Gemm", inputs, {integer("transB", 1)});
  } else if (in.channels_first && in.rank() <= 5) {
    std::vector<int64_t> extents(in.rank(), 1);
    extents[0] = units;
    extents[1] = kernel.size(0);
    std::vector<std::string> inputs{
        in.name, call.trained("kernel", permuted(kernel, {1, 0}).reshape(Shape(extents)))};
    if (bias) inputs.push_back(bias_name());
    out.name = call.writer.node("Conv", inputs);
  } else {
    const Value ordered = call.writer.in_order(in);
    out.channels_first = false;
    out.name = call.writer.node("MatMul", {ordered.name, call.trained("kernel", kernel)});
    if (bias) out.name = call.writer.node("Add", {out.name, bias_name()});
  }
  return activated(call, out);
}

// Whole numbers to rows of a table.
Value embedding(LayerCall& call) {
  GRAFT_CHECK(!call.settings().flag("mask_zero", false),
              "masks the number 0 (mask_zero), which graft does not");
  const Tensor table = call.take({"embeddings"}, {call.settings().integer("input_dim", -1),
                                                  call.settings().integer("output_dim", -1)});
  Value in = call.writer.in_order(call.in());
  in.name = call.writer.node("Cast", {in.name}, {integer("to", 7)});
  Value out =
      call.with_name(in, call.writer.node("Gather", {call.trained("embeddings", table), in.name}));
  out.dims.push_back(table.size(1));
  return out;
}

constexpr LayerKind kConvolutionLayers[] = {
    {"Conv1D", convolution<1>},
    {"Conv2D", convolution<2>},
    {"Conv3D", convolution<3>},
    {"Convolution1D", convolution<1>},
    {"Convolution2D", convolution<2>},
    {"Convolution3D", convolution<3>},
    {"DepthwiseConv1D", depthwise_convolution<1>},
    {"DepthwiseConv2D", depthwise_convolution<2>},
    {"SeparableConv1D", separable_convolution<1>},
    {"SeparableConv2D", separable_convolution<2>},
    {"Conv1DTranspose", transposed_convolution<1>},
    {"Conv2DTranspose", transposed_convolution<2>},
    {"Conv3DTranspose", transposed_convolution<3>},
    {"Dense", dense},
    {"Embedding", embedding},
};

}  // namespace

LayerTable convolution_layers() { return kConvolutionLayers; }

}  // namespace graft::models::keras
