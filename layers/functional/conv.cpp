// functional::conv and its Node.
#include "graft/kernels/ops/conv.h"

#include <utility>

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/line_as_row.h"

namespace graft::functional {
namespace {

class ConvNode final : public Node {
 public:
  ConvNode(const Tensor& x, const Tensor& weight, const Tensor& bias,
           const ops::ConvAttributes& attributes, bool keep_x, bool keep_weight)
      : attributes_(attributes),
        x_shape_(x.shape()),
        x_options_(x.options()),
        weight_shape_(weight.shape()),
        weight_options_(weight.options()),
        bias_dtype_(bias.defined() ? bias.dtype() : DType::f32) {
    if (keep_x) x_ = SavedTensor(x);
    if (keep_weight) weight_ = SavedTensor(weight);
  }

  const char* name() const override { return "conv"; }

  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& dy = grads[0];
    const ops::ConvKernels& kernels = kernels_for<ops::ConvKernels>(dy);
    Tensor dx, dweight, dbias;
    if (needs(1)) dweight = Tensor::empty(weight_shape_, weight_options_);
    if (needs(2))
      dbias = Tensor::empty({dy.size(1)}, {.dtype = bias_dtype_, .device = dy.device()});
    if (needs(1) || needs(2)) {
      const Tensor& x = needs(1) ? x_.get("conv") : dy;  // without dweight x is not read
      kernels.backward_weight(current_context(), {x, dy, attributes_, needs(1) ? &dweight : nullptr,
                                                  needs(2) ? &dbias : nullptr});
    }
    x_.release();  // dx may take its memory
    if (needs(0)) dx = data_gradient(dy);
    return {dx, dweight, dbias};
  }

  void release() override {
    x_.release();
    weight_.release();
  }

 private:
  // Where a shortcut's gradient is there already, this one is added to it by the kernel: two passes
  // over it less.
  Tensor data_gradient(const Tensor& dy) const {
    const ops::ConvKernels& kernels = kernels_for<ops::ConvKernels>(dy);
    Tensor* sum = gradient_so_far(0);
    if (sum && sum->shape() == x_shape_ && sum->dtype() == x_options_.dtype &&
        sum->format() == x_options_.format &&
        kernels.backward_data_added.try_run(current_context(),
                                            {dy, weight_.get("conv"), attributes_, *sum}))
      return std::exchange(*sum, Tensor());
    Tensor dx = Tensor::empty(x_shape_, x_options_);
    kernels.backward_data(current_context(), {dy, weight_.get("conv"), attributes_, dx});
    return dx;
  }

  ops::ConvAttributes attributes_;
  Shape x_shape_;
  TensorOptions x_options_;
  Shape weight_shape_;
  TensorOptions weight_options_;
  DType bias_dtype_;
  SavedTensor x_, weight_;
};

}  // namespace

namespace {

// Whether a kernel has computed y and its statistics in one.
bool with_statistics(const Tensor& x, const Tensor& weight, const Tensor* bias,
                     const ops::ConvAttributes& attributes, Tensor& y,
                     BatchStatistics& statistics) {
  const TensorOptions options{.dtype = y.dtype() == DType::f64 ? DType::f64 : DType::f32,
                              .device = y.device()};
  BatchStatistics taken{Tensor::empty({y.size(1)}, options), Tensor::empty({y.size(1)}, options)};
  if (!kernels_for<ops::ConvKernels>(x).forward_statistics.try_run(
          current_context(), {x, weight, bias, attributes, y, taken.mean, taken.variance}))
    return false;
  statistics = std::move(taken);
  return true;
}

Replay replay_conv(const ReplaySite& site) {
  const auto a = site.as<ops::ConvAttributes>();
  return {[a](const auto& in) { return conv(in[0], in[1], in[2], a); }, {}};
}

}  // namespace

Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias,
            ops::ConvAttributes attributes, BatchStatistics* statistics) {
  GRAFT_CHECK(x.rank() >= 3 && x.rank() <= 5 && weight.rank() == x.rank(), "conv: input ",
              x.shape(), " and weight ", weight.shape(), " need the same 1 to 3 spatial axes");
  if (is_devices_line(x))
    return as_line(conv(as_row(x), as_row(weight), bias, along_row(attributes), statistics));
  attributes.window.axes = x.rank() - 2;
  for (int axis = 2; axis < weight.rank(); ++axis)
    attributes.window.kernel[static_cast<size_t>(axis - 2)] = weight.shape()[axis];
  GRAFT_CHECK(!bias.defined() || bias.shape() == Shape{weight.shape()[0]}, "conv: bias ",
              bias.defined() ? bias.shape() : Shape(), " for weight ", weight.shape());
  Tensor y =
      Tensor::empty(ops::conv_output_shape(x.shape(), weight.shape(), attributes), x.options());
  const Tensor* given_bias = bias.defined() ? &bias : nullptr;
  if (!statistics || !with_statistics(x, weight, given_bias, attributes, y, *statistics))
    kernels_for<ops::ConvKernels>(x).forward(current_context(),
                                             {x, weight, given_bias, attributes, y});
  return record(attributes, replay_conv, {x, weight, bias}, y, [&] {
    return std::make_shared<ConvNode>(x, weight, bias, attributes, needs_grad(weight),
                                      needs_grad(x));
  });
}

}  // namespace graft::functional
