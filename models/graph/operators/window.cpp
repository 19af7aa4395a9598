#include "graft/models/graph/operators/window.h"

#include <algorithm>

namespace graft::models::graph {
namespace {

// ONNX: output = ceil(in / stride); the pad is what the windows reach beyond the input.
void pad_same(ops::Window& window, const Shape& x, bool upper) {
  for (int axis = 0; axis < window.axes; ++axis) {
    const auto i = static_cast<size_t>(axis);
    const int64_t in = x[axis + 2], out = ceil_div(in, window.stride[i]);
    const int64_t span =
        (out - 1) * window.stride[i] + (window.kernel[i] - 1) * window.dilation[i] + 1;
    const int64_t total = std::max<int64_t>(span - in, 0), less = total / 2;
    window.pad_begin[i] = upper ? less : total - less;
    window.pad_end[i] = total - window.pad_begin[i];
  }
}

}  // namespace

ops::Window read_window(const OpCall& call, const Shape& x, const std::vector<int64_t>& kernel) {
  const size_t axes = kernel.size();
  GRAFT_CHECK(axes >= 1 && axes <= 3 && x.rank() == static_cast<int>(axes) + 2, "input ", x,
              " and a window of ", axes, " axes: 1 to 3 spatial axes are supported");
  const std::vector<int64_t> ones(axes, 1), strides = call.integers("strides", ones),
                                            dilations = call.integers("dilations", ones);
  const std::vector<int64_t> pads = call.integers("pads", std::vector<int64_t>(2 * axes, 0));
  GRAFT_CHECK(strides.size() == axes && dilations.size() == axes && pads.size() == 2 * axes,
              "strides [", join(strides), "], dilations [", join(dilations), "] or pads [",
              join(pads), "] do not fit ", axes, " spatial axes");
  ops::Window window;
  window.axes = static_cast<int>(axes);
  for (size_t i = 0; i < axes; ++i) {
    window.kernel[i] = kernel[i];
    window.stride[i] = strides[i];
    window.dilation[i] = dilations[i];
    window.pad_begin[i] = pads[i];
    window.pad_end[i] = pads[axes + i];
    constexpr int64_t most = 65'536;  // a hostile file could ask for hours in one window
    for (const int64_t extent : {kernel[i], strides[i], dilations[i]})
      GRAFT_CHECK(extent >= 1 && extent <= most, "kernel, strides and dilations must be 1 to ",
                  most);
    for (const int64_t pad : {pads[i], pads[axes + i]})
      GRAFT_CHECK(pad >= -most && pad <= most, "pads [", join(pads), "] are out of range");
    GRAFT_CHECK(checked_mul(kernel[i], i > 0 ? kernel[i - 1] : 1) <= int64_t{1} << 24,
                "a window of [", join(kernel), "]");
  }
  const std::string automatic = call.text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER")
    pad_same(window, x, automatic == "SAME_UPPER");
  else if (automatic == "VALID")
    window.pad_begin = window.pad_end = {0, 0, 0};
  else
    GRAFT_CHECK(automatic == "NOTSET" || automatic.empty(), "auto_pad ", automatic);
  return window;
}

ops::ConvAttributes read_convolution(const OpCall& call, const Tensor& x, const Tensor& weight) {
  GRAFT_CHECK(x.rank() >= 3 && weight.rank() == x.rank(), "input ", x.shape(), " and weight ",
              weight.shape());
  const std::vector<int64_t> kernel(weight.shape().begin() + 2, weight.shape().end());
  GRAFT_CHECK(call.integers("kernel_shape", kernel) == kernel,
              "kernel_shape is not that of the weight ", weight.shape());
  ops::ConvAttributes attributes;
  attributes.window = read_window(call, x.shape(), kernel);
  attributes.groups = call.integer("group", 1);
  return attributes;
}

}  // namespace graft::models::graph
