// Norms that learn.
#include <algorithm>
#include <numeric>

#include "graft/core/base/error.h"
#include "graft/models/keras/layers.h"

namespace graft::models::keras {
namespace {

// A value with one of Keras' axes second, as ONNX's norms want their channels, and the way back.
struct ByChannel {
  Value value{};
  std::vector<int64_t> back{};  // of a Transpose; empty: none is needed
};

ByChannel by_channel(LayerCall& call, int64_t given) {
  const Value& in = call.in();
  GRAFT_CHECK(in.rank() >= 2, "takes values of at least two axes");
  const size_t axis = axis_of(given, in.rank());
  GRAFT_CHECK(axis >= 1, "its axis ", given, " is the batch");
  if (axis + 1 == in.rank()) return {call.writer.channels_first(in), {}};
  const Value ordered = call.writer.in_order(in);
  if (axis == 1) return {ordered, {}};
  std::vector<int64_t> there{0, static_cast<int64_t>(axis)};
  for (size_t a = 1; a < in.rank(); ++a)
    if (a != axis) there.push_back(static_cast<int64_t>(a));
  ByChannel result{ordered, std::vector<int64_t>(there.size())};
  for (size_t a = 0; a < there.size(); ++a)
    result.back[static_cast<size_t>(there[a])] = static_cast<int64_t>(a);
  result.value.name = call.writer.node("Transpose", {ordered.name}, {ints("perm", there)});
  return result;
}

Value behind(LayerCall& call, const ByChannel& in, std::string name) {
  if (!in.back.empty()) name = call.writer.node("Transpose", {name}, {ints("perm", in.back)});
  return call.with_name(in.value, name);
}

constexpr int64_t kMostFilled = 1 << 18;  // numbers that no tensor of the file stands for

// Scale and shift; 1 and 0 where the layer has none of its own.
std::pair<std::string, std::string> affine_of(LayerCall& call, const std::vector<int64_t>& extents,
                                              Shape& shape) {
  const bool scale = call.settings().flag("scale", true),
             center = call.settings().flag("center", true);
  Tensor gamma, beta;
  if (scale) gamma = call.take({"gamma"}, extents);
  if (center)
    beta =
        call.take({"beta"}, scale ? std::vector<int64_t>(gamma.shape().begin(), gamma.shape().end())
                                  : extents);
  if (!scale || !center) {
    if (std::find(call.findings.filled_norms.begin(), call.findings.filled_norms.end(),
                  call.path.text()) == call.findings.filled_norms.end())
      call.findings.filled_norms.push_back(call.path.text());
    if (scale || center) {
      shape = (scale ? gamma : beta).shape();
    } else {
      for (const int64_t extent : extents)
        GRAFT_CHECK(extent > 0, "normalizes an axis whose extent is not known");
      shape = Shape(extents);
      GRAFT_CHECK(shape.numel() <= kMostFilled, "normalizes ", shape.numel(), " numbers at once");
    }
    if (!scale) gamma = Tensor::full(shape, 1);
    if (!center) beta = Tensor::zeros(shape);
  }
  shape = gamma.shape();
  return {call.trained("gamma", gamma), call.trained("beta", beta)};
}

int64_t one_axis(const LayerCall& call) {
  const auto axes = call.settings().integers("axis", {-1});
  GRAFT_CHECK(axes.size() == 1, "normalizes over ", axes.size(), " axes");
  return axes[0];
}

Value batch_normalization(LayerCall& call) {
  GRAFT_CHECK(!call.settings().flag("renorm", false),
              "is a batch renormalization, which graft does not have");
  const int64_t axis = one_axis(call), channels = call.in().at(axis);
  const bool known =
      channels > 0 || call.settings().flag("scale", true) || call.settings().flag("center", true);
  GRAFT_CHECK(known, "normalizes an axis whose extent is not known");
  const ByChannel in = by_channel(call, axis);
  Shape shape;
  const auto [gamma, beta] = affine_of(call, {channels}, shape);
  const std::vector<int64_t> extents(shape.begin(), shape.end());
  const Tensor mean = call.take({"moving_mean", "running_mean"}, extents);
  const Tensor variance =
      call.take({"moving_variance", "running_variance", "running_std"}, extents);
  const std::string out =
      call.writer.node("BatchNormalization",
                       {in.value.name, gamma, beta, call.trained("moving_mean", mean),
                        call.trained("moving_variance", variance)},
                       {real("epsilon", call.settings().real("epsilon", 1e-3)),
                        real("momentum", call.settings().real("momentum", 0.99))});
  return behind(call, in, out);
}

Value group_normalization(LayerCall& call) {
  const int64_t axis = one_axis(call), channels = call.in().at(axis);
  const ByChannel in = by_channel(call, axis);
  Shape shape;
  const auto [gamma, beta] = affine_of(call, {channels}, shape);
  int64_t groups = call.settings().integer("groups", 32);
  if (groups == -1) groups = shape[0];
  GRAFT_CHECK(groups >= 1 && shape[0] % groups == 0, "its ", groups, " groups do not divide ",
              shape[0], " channels");
  call.writer.needs_opset(21);
  return behind(call, in,
                call.writer.node("GroupNormalization", {in.value.name, gamma, beta},
                                 {integer("num_groups", groups),
                                  real("epsilon", call.settings().real("epsilon", 1e-3))}));
}

// Over the last axes, in ONNX; other axes are turned there and back.
Value layer_normalization(LayerCall& call) {
  GRAFT_CHECK(!call.settings().flag("rms_scaling", false),
              "scales by the variance (rms_scaling), which graft does not");
  const Value in = call.writer.in_order(call.in());
  std::vector<size_t> axes;
  for (const int64_t axis : call.settings().integers("axis", {-1}))
    axes.push_back(axis_of(axis, in.rank()));
  std::sort(axes.begin(), axes.end());
  GRAFT_CHECK(
      !axes.empty() && axes[0] >= 1 && std::adjacent_find(axes.begin(), axes.end()) == axes.end(),
      "normalizes over axes that are none of Keras'");
  std::vector<int64_t> extents, order, back(in.rank());
  for (const size_t axis : axes) extents.push_back(in.dims[axis]);
  for (size_t axis = 0; axis < in.rank(); ++axis)
    if (std::find(axes.begin(), axes.end(), axis) == axes.end())
      order.push_back(static_cast<int64_t>(axis));
  const auto first = static_cast<int64_t>(order.size());
  for (const size_t axis : axes) order.push_back(static_cast<int64_t>(axis));
  for (size_t a = 0; a < order.size(); ++a)
    back[static_cast<size_t>(order[a])] = static_cast<int64_t>(a);
  const bool turned = !std::is_sorted(order.begin(), order.end());
  std::string name = in.name;
  if (turned) name = call.writer.node("Transpose", {name}, {ints("perm", order)});
  Shape shape;
  const auto [gamma, beta] = affine_of(call, extents, shape);
  name = call.writer.node(
      "LayerNormalization", {name, gamma, beta},
      {integer("axis", first), real("epsilon", call.settings().real("epsilon", 1e-3))});
  if (turned) name = call.writer.node("Transpose", {name}, {ints("perm", back)});
  return call.with_name(in, name);
}

// keras.applications' ConvNeXt scales its channels.
Value layer_scale(LayerCall& call) {
  const Value& in = call.in();
  const Tensor gamma = call.take({"gamma"}, {in.at(-1)});
  const std::string factor = call.trained("gamma", call.writer.meeting(in, gamma));
  return call.with_name(in, call.writer.node("Mul", {in.name, factor}));
}

constexpr LayerKind kNormalizationLayers[] = {
    {"BatchNormalization", batch_normalization},
    {"BatchNormalizationV1", batch_normalization},
    {"BatchNormalizationV2", batch_normalization},
    {"SyncBatchNormalization", batch_normalization},
    {"GroupNormalization", group_normalization},
    {"LayerNormalization", layer_normalization},
    {"LayerScale", layer_scale},
};

}  // namespace

LayerTable normalization_layers() { return kNormalizationLayers; }

}  // namespace graft::models::keras
