// functional::conv_transpose and its Node: conv's backward-data pass forward, conv's forward pass
// backward.
#include "graft/core/autograd/record.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/line_as_row.h"

namespace graft::functional {
namespace {

class ConvTransposeNode final : public Node {
 public:
  ConvTransposeNode(const Tensor& x, const Tensor& weight,
                    const ops::ConvTransposeAttributes& attributes)
      : attributes_(attributes), x_(x), weight_(weight) {}
  const char* name() const override { return "conv_transpose"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor &x = x_.get("conv_transpose"), &weight = weight_.get("conv_transpose");
    const Tensor dy = grads[0].to(x.format());
    const ops::ConvKernels& kernels = kernels_for<ops::ConvKernels>(x);
    Tensor dx, dweight;
    if (needs(0)) {
      dx = Tensor::empty_like(x);
      kernels.forward(current_context(), {dy, weight, nullptr, attributes_.conv, dx});
    }
    if (needs(1)) {
      dweight = Tensor::empty_like(weight);
      kernels.backward_weight(current_context(), {dy, x, attributes_.conv, &dweight, nullptr});
    }
    return {dx, dweight};
  }
  void release() override {
    x_.release();
    weight_.release();
  }

 private:
  ops::ConvTransposeAttributes attributes_;
  SavedTensor x_, weight_;
};

// Bias and padding are steps of their own.
Replay replay_conv_transpose(const ReplaySite& site) {
  const ops::ConvAttributes a = site.as<ops::ConvTransposeAttributes>().conv;
  return {[a](const auto& in) { return conv_transpose(in[0], in[1], {}, a); }, {}};
}

}  // namespace

Tensor conv_transpose(const Tensor& x, const Tensor& weight, const Tensor& bias,
                      ops::ConvAttributes conv, const ops::Spatial& output_padding) {
  GRAFT_CHECK(x.rank() >= 3 && x.rank() <= 5 && weight.rank() == x.rank(), "conv_transpose: input ",
              x.shape(), " and weight ", weight.shape(), " need the same 1 to 3 spatial axes");
  if (is_devices_line(x))
    return as_line(conv_transpose(as_row(x), as_row(weight), bias, along_row(conv),
                                  {0, output_padding[0], 0}));
  conv.window.axes = x.rank() - 2;
  // Output padding takes from the end's; what a pad is less than 0 becomes zeros around the result.
  ops::PadAttributes around{std::vector<int64_t>(static_cast<size_t>(x.rank())),
                            std::vector<int64_t>(static_cast<size_t>(x.rank())), 0};
  bool pads = false;
  for (int axis = 0; axis < conv.window.axes; ++axis) {
    const auto i = static_cast<size_t>(axis);
    GRAFT_CHECK(output_padding[i] >= 0, "conv_transpose: output padding ", output_padding[i]);
    conv.window.kernel[i] = weight.shape()[axis + 2];
    const int64_t begin = conv.window.pad_begin[i],
                  end = checked_add(conv.window.pad_end[i], -output_padding[i]);
    conv.window.pad_begin[i] = std::max<int64_t>(begin, 0);
    conv.window.pad_end[i] = std::max<int64_t>(end, 0);
    around.begin[i + 2] = std::max<int64_t>(checked_mul(begin, -1), 0);
    around.end[i + 2] = std::max<int64_t>(checked_mul(end, -1), 0);
    pads = pads || begin < 0 || end < 0;
  }
  const ops::ConvTransposeAttributes attributes{conv};
  Tensor y = Tensor::empty(ops::conv_transpose_output_shape(x.shape(), weight.shape(), attributes),
                           x.options());
  kernels_for<ops::ConvKernels>(x).backward_data(current_context(), {x, weight, conv, y});
  y = record(attributes, replay_conv_transpose, {x, weight}, y,
             [&] { return std::make_shared<ConvTransposeNode>(x, weight, attributes); });
  if (pads) y = pad(y, around);
  if (!bias.defined()) return y;
  GRAFT_CHECK(bias.shape() == Shape{y.size(1)}, "conv_transpose: bias ", bias.shape(), " for ",
              y.shape());
  std::vector<int64_t> extents(static_cast<size_t>(x.rank()) - 1, 1);
  extents[0] = y.size(1);
  return add(y, cast(reshape(bias, Shape(std::span<const int64_t>(extents))), x.dtype()));
}

}  // namespace graft::functional
