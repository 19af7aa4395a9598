#include "graft/models/keras/layers.h"

#include <map>
#include <string_view>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"

namespace graft::models::keras {
namespace {

using KindMap = std::map<std::string_view, const LayerKind*>;

KindMap make_kinds(std::initializer_list<LayerTable> tables) {
  KindMap kinds;
  for (const LayerTable table : tables)
    for (const LayerKind& kind : table) kinds[kind.name] = &kind;
  return kinds;
}

}  // namespace

const LayerKind* find_layer(const Layer& layer) {
  static const KindMap layers = make_kinds({convolution_layers(), pooling_layers(),
                                            normalization_layers(), activation_layers(),
                                            merging_layers(), shape_layers(), image_layers()}),
                       operations = make_kinds({operation_layers()});
  if (layer.custom) return nullptr;
  const bool operation = layer.module.find(".ops.") != std::string::npos ||
                         layer.module.find(".activations") != std::string::npos ||
                         layer.kind == "TFOpLambda";
  const KindMap& kinds = operation ? operations : layers;
  const auto found = kinds.find(layer.kind);
  return found == kinds.end() ? nullptr : found->second;
}

std::string LayerCall::title() const { return str(layer.kind, " '", path.text(), "'"); }

Tensor LayerCall::take(const std::vector<std::string>& parts, const std::vector<int64_t>& extents) {
  return variables.take(path, variable++, parts, extents);
}

std::string LayerCall::trained(const std::string& part, const Tensor& tensor) {
  return writer.parameter(path.text() + "/" + part, tensor);
}

Value LayerCall::with_name(Value value, std::string name) const {
  value.name = std::move(name);
  value.of_image = false;
  return value;
}

Maps maps_of(LayerCall& call, size_t axes) {
  const Value& in = call.in();
  GRAFT_CHECK(in.rank() == axes + 2, "takes values of rank ", axes + 2, ", and is given one of ",
              in.rank());
  Maps maps;
  const std::string format = call.settings().text("data_format", "channels_last");
  GRAFT_CHECK(format == "channels_last" || format == "channels_first", "its data_format is ",
              format);
  maps.last = format == "channels_last";
  maps.value = maps.last ? call.writer.channels_first(in) : call.writer.in_order(in);
  maps.value.of_image = false;
  maps.channels = in.dims[maps.last ? axes + 1 : 1];
  for (size_t axis = 0; axis < axes; ++axis)
    maps.extents.push_back(in.dims[axis + (maps.last ? 1 : 2)]);
  return maps;
}

Value value_of(const Maps& maps, std::string name, int64_t channels,
               const std::vector<int64_t>& extents) {
  Value value = maps.value;
  value.name = std::move(name);
  value.dims.resize(1);
  if (!maps.last) value.dims.push_back(channels);
  value.dims.insert(value.dims.end(), extents.begin(), extents.end());
  if (maps.last) value.dims.push_back(channels);
  value.channels_first = maps.last;
  return value;
}

int64_t windowed(int64_t extent, int64_t kernel, int64_t stride, int64_t dilation, bool same) {
  GRAFT_CHECK(kernel >= 1 && stride >= 1 && dilation >= 1, "a window of ", kernel, ", strides of ",
              stride, " and a dilation of ", dilation, " are none of Keras'");
  if (extent < 0) return -1;
  if (same) return ceil_div(extent, stride);
  const int64_t span = (kernel - 1) * dilation + 1;
  GRAFT_CHECK(extent >= span, "its window of ", span, " is larger than what it is given, ", extent);
  return (extent - span) / stride + 1;
}

}  // namespace graft::models::keras
