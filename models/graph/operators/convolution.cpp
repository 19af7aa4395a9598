// Convolutions. Opsets 1 to 22: their attributes have not changed.
#include "graft/layers/functional/image.h"
#include "graft/models/graph/operators.h"
#include "graft/models/graph/operators/window.h"

namespace graft::models::graph {
namespace {

OpOutputs conv_op(const OpCall& call) {
  return {functional::conv(call.in(0), call.in(1), call.optional(2),
                           read_convolution(call, call.in(0), call.in(1)), call.mode().statistics)};
}

// Pads from output_shape or auto_pad: what the output would have too much of. SAME_UPPER takes the
// odd one at the end.
void pad_to_output(const OpCall& call, const Shape& x, const ops::Spatial& output_padding,
                   ops::Window& window) {
  const std::string automatic = call.text("auto_pad", "NOTSET");
  const std::vector<int64_t> wanted = call.integers("output_shape");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  if (wanted.empty() && !same) return;
  const auto axes = static_cast<size_t>(window.axes);
  GRAFT_CHECK(wanted.empty() || wanted.size() == axes || wanted.size() == axes + 2,
              "output_shape [", join(wanted), "]");
  constexpr int64_t most = int64_t{1} << 40;  // sums of these do not overflow
  for (const int64_t extent : wanted)
    GRAFT_CHECK(extent >= 0 && extent <= most, "output_shape [", join(wanted), "]");
  for (const int64_t pad : output_padding)
    GRAFT_CHECK(pad >= 0 && pad <= most, "an output_padding of ", pad);
  for (size_t i = 0; i < axes; ++i) {
    const int64_t in = x[static_cast<int>(i) + 2], stride = window.stride[i];
    const int64_t out = wanted.empty() ? in * stride : wanted[wanted.size() - axes + i];
    const int64_t total = stride * (in - 1) + output_padding[i] +
                          (window.kernel[i] - 1) * window.dilation[i] + 1 - out,
                  less = total >= 0 ? total / 2 : -((1 - total) / 2);
    window.pad_begin[i] = automatic == "SAME_UPPER" ? less : total - less;
    window.pad_end[i] = total - window.pad_begin[i];
  }
}

OpOutputs conv_transpose_op(const OpCall& call) {
  const Tensor &x = call.in(0), &weight = call.in(1);
  ops::ConvAttributes attributes = read_convolution(call, x, weight);
  ops::Spatial output_padding{0, 0, 0};
  const std::vector<int64_t> more = call.integers("output_padding");
  GRAFT_CHECK(more.size() <= static_cast<size_t>(attributes.window.axes), "output_padding [",
              join(more), "]");
  std::copy(more.begin(), more.end(), output_padding.begin());
  pad_to_output(call, x.shape(), output_padding, attributes.window);
  return {functional::conv_transpose(x, weight, call.optional(2), attributes, output_padding)};
}

constexpr Operator kConvolutions[] = {
    {"Conv", conv_op, kConvolutionAttributes, Layout::images},
    {"ConvTranspose", conv_transpose_op,
     "auto_pad dilations group kernel_shape output_padding output_shape pads strides",
     Layout::images},
};

}  // namespace

OperatorTable convolution_operators() { return kConvolutions; }

}  // namespace graft::models::graph
