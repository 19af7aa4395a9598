// Pools, padding, cropping and enlarging of maps.
#include <algorithm>
#include <limits>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"
#include "graft/models/keras/layers.h"

namespace graft::models::keras {
namespace {

template <size_t axes>
Value pool(LayerCall& call, const char* op) {
  const Maps maps = maps_of(call, axes);
  const LayerSettings& s = call.settings();
  const char* size = s.has("pool_size") ? "pool_size" : "pool_length";  // Keras 1's word
  const auto kernel = s.per_axis(size, axes, 2),
             strides = s.has("strides") ? s.per_axis("strides", axes, 1) : kernel;
  const std::string padding = s.text("padding", "valid");
  GRAFT_CHECK(padding == "same" || padding == "valid", "its padding is ", padding);
  Attributes attributes{ints("kernel_shape", kernel), ints("strides", strides)};
  if (padding == "same") attributes.push_back(text("auto_pad", "SAME_UPPER"));
  std::vector<int64_t> extents;
  for (size_t i = 0; i < axes; ++i)
    extents.push_back(windowed(maps.extents[i], kernel[i], strides[i], 1, padding == "same"));
  return value_of(maps, call.writer.node(op, {maps.value.name}, attributes), maps.channels,
                  extents);
}

template <size_t axes>
Value max_pool(LayerCall& call) {
  return pool<axes>(call, "MaxPool");
}
template <size_t axes>
Value average_pool(LayerCall& call) {
  return pool<axes>(call, "AveragePool");
}

template <size_t axes>
Value global_pool(LayerCall& call, const char* op) {
  const Maps maps = maps_of(call, axes);
  const std::string pooled = call.writer.node(op, {maps.value.name});
  if (call.settings().flag("keepdims", false))
    return value_of(maps, pooled, maps.channels, std::vector<int64_t>(axes, 1));
  Value out = maps.value;
  out.dims = {call.in().dims[0], maps.channels};
  out.channels_first = false;
  out.name = call.writer.node("Flatten", {pooled}, {integer("axis", 1)});
  return out;
}

template <size_t axes>
Value global_max_pool(LayerCall& call) {
  return global_pool<axes>(call, "GlobalMaxPool");
}
template <size_t axes>
Value global_average_pool(LayerCall& call) {
  return global_pool<axes>(call, "GlobalAveragePool");
}

// Begin and end of each axis: one number, one an axis, or two an axis.
std::vector<int64_t> sides_of(const LayerCall& call, const char* key, size_t axes) {
  std::vector<int64_t> given = call.settings().integers(key, {1}), sides;
  GRAFT_CHECK(given.size() == 1 || given.size() == axes || given.size() == 2 * axes, "its ", key,
              " are ", given.size(), " numbers for ", axes, " axes");
  for (size_t i = 0; i < axes; ++i)
    for (size_t side = 0; side < 2; ++side)
      sides.push_back(given.size() == 1          ? given[0]
                      : given.size() == 2 * axes ? given[2 * i + side]
                                                 : given[i]);
  for (const int64_t side : sides)
    GRAFT_CHECK(side >= 0 && side <= 65'536, "its ", key, " of ", side, " is out of range");
  return sides;
}

template <size_t axes>
Value zero_padding(LayerCall& call) {
  const Maps maps = maps_of(call, axes);
  const auto sides = sides_of(call, "padding", axes);
  std::vector<int64_t> pads(2 * (axes + 2), 0), extents = maps.extents;
  for (size_t i = 0; i < axes; ++i) {
    pads[2 + i] = sides[2 * i];
    pads[axes + 4 + i] = sides[2 * i + 1];
    if (extents[i] >= 0) extents[i] += sides[2 * i] + sides[2 * i + 1];
  }
  return value_of(maps, call.writer.node("Pad", {maps.value.name, call.writer.numbers(pads)}),
                  maps.channels, extents);
}

template <size_t axes>
Value cropping(LayerCall& call) {
  const Maps maps = maps_of(call, axes);
  const auto sides = sides_of(call, "cropping", axes);
  std::vector<int64_t> starts, ends, which, extents = maps.extents;
  for (size_t i = 0; i < axes; ++i) {
    starts.push_back(sides[2 * i]);
    ends.push_back(sides[2 * i + 1] > 0 ? -sides[2 * i + 1] : std::numeric_limits<int64_t>::max());
    which.push_back(static_cast<int64_t>(i) + 2);
    if (extents[i] < 0) continue;
    extents[i] -= sides[2 * i] + sides[2 * i + 1];
    GRAFT_CHECK(extents[i] > 0, "crops all of ", maps.extents[i], " away");
  }
  Writer& w = call.writer;
  return value_of(
      maps,
      w.node("Slice", {maps.value.name, w.numbers(starts), w.numbers(ends), w.numbers(which)}),
      maps.channels, extents);
}

template <size_t axes>
Value up_sampling(LayerCall& call) {
  const Maps maps = maps_of(call, axes);
  const auto size = call.settings().per_axis("size", axes, 2);
  const std::string kind = call.settings().text("interpolation", "nearest");
  GRAFT_CHECK(kind == "nearest" || kind == "bilinear", "its interpolation is ", kind,
              "; graft has nearest and bilinear");
  std::vector<float> scales{1, 1};
  std::vector<int64_t> extents = maps.extents;
  for (size_t i = 0; i < axes; ++i) {
    GRAFT_CHECK(size[i] >= 1 && size[i] <= 1024, "its size of ", size[i], " is out of range");
    scales.push_back(static_cast<float>(size[i]));
    if (extents[i] >= 0) extents[i] *= size[i];
  }
  const Attributes attributes =
      kind == "nearest" ? Attributes{text("mode", "nearest"), text("nearest_mode", "floor"),
                                     text("coordinate_transformation_mode", "asymmetric")}
                        : Attributes{text("mode", "linear"),
                                     text("coordinate_transformation_mode", "half_pixel")};
  const std::string scale =
      call.writer.constant(Tensor::of<float>({static_cast<int64_t>(scales.size())}, scales));
  return value_of(maps, call.writer.node("Resize", {maps.value.name, "", scale}, attributes),
                  maps.channels, extents);
}

constexpr LayerKind kPoolingLayers[] = {
    {"MaxPooling1D", max_pool<1>},
    {"MaxPooling2D", max_pool<2>},
    {"MaxPooling3D", max_pool<3>},
    {"AveragePooling1D", average_pool<1>},
    {"AveragePooling2D", average_pool<2>},
    {"AveragePooling3D", average_pool<3>},
    {"GlobalMaxPooling1D", global_max_pool<1>},
    {"GlobalMaxPooling2D", global_max_pool<2>},
    {"GlobalMaxPooling3D", global_max_pool<3>},
    {"GlobalAveragePooling1D", global_average_pool<1>},
    {"GlobalAveragePooling2D", global_average_pool<2>},
    {"GlobalAveragePooling3D", global_average_pool<3>},
    {"ZeroPadding1D", zero_padding<1>},
    {"ZeroPadding2D", zero_padding<2>},
    {"ZeroPadding3D", zero_padding<3>},
    {"Cropping1D", cropping<1>},
    {"Cropping2D", cropping<2>},
    {"Cropping3D", cropping<3>},
    {"UpSampling1D", up_sampling<1>},
    {"UpSampling2D", up_sampling<2>},
    {"UpSampling3D", up_sampling<3>},
};

}  // namespace

LayerTable pooling_layers() { return kPoolingLayers; }

}  // namespace graft::models::keras
