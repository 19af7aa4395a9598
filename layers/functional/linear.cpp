// functional::linear and its Node.
#include "graft/kernels/ops/linear.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/linear.h"

namespace graft::functional {
namespace {

class LinearNode final : public Node {
 public:
  LinearNode(const Tensor& x, const Tensor& weight, bool keep_x, bool keep_weight)
      : in_(weight.shape()[1]) {
    if (keep_x) x_ = SavedTensor(x);
    if (keep_weight) weight_ = SavedTensor(weight);
  }
  const char* name() const override { return "linear"; }

  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& dy = grads[0];
    const ops::LinearKernels& kernels = kernels_for<ops::LinearKernels>(dy);
    const int64_t out = dy.shape()[1];
    Tensor dx, dweight, dbias;
    if (needs(0)) {
      dx = Tensor::empty({dy.shape()[0], in_}, dy.options());
      kernels.backward_data(current_context(), {dy, weight_.get("linear"), dx});
    }
    if (needs(1)) dweight = Tensor::empty({out, in_}, dy.options());
    if (needs(2)) dbias = Tensor::empty({out}, dy.options());
    if (needs(1) || needs(2)) {
      const Tensor& x = needs(1) ? x_.get("linear") : dy;  // without dweight x is not read
      kernels.backward_weight(current_context(),
                              {x, dy, needs(1) ? &dweight : nullptr, needs(2) ? &dbias : nullptr});
    }
    return {dx, dweight, dbias};
  }
  void release() override {
    x_.release();
    weight_.release();
  }

 private:
  int64_t in_;
  SavedTensor x_, weight_;
};

Replay replay_linear(const ReplaySite&) {
  return {[](const auto& in) { return linear(in[0], in[1], in[2]); }, {}};
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  GRAFT_CHECK(x.rank() == 2 && weight.rank() == 2 && x.shape()[1] == weight.shape()[1],
              "linear: input ", x.shape(), " and weight ", weight.shape());
  GRAFT_CHECK(!bias.defined() || bias.shape() == Shape{weight.shape()[0]}, "linear: bias ",
              bias.defined() ? bias.shape() : Shape(), " for weight ", weight.shape());
  const bool half = x.dtype() == DType::bf16 || x.dtype() == DType::f16;
  if (half && weight.dtype() == DType::f32)
    return linear(cast(x, DType::f32), weight, bias);  // the classifier's sums stay exact
  GRAFT_CHECK(x.dtype() == weight.dtype(), "linear: input of ", name_of(x.dtype()), ", weight of ",
              name_of(weight.dtype()));
  Tensor y = Tensor::empty({x.shape()[0], weight.shape()[0]}, x.options());
  kernels_for<ops::LinearKernels>(x).forward(current_context(),
                                             {x, weight, bias.defined() ? &bias : nullptr, y});
  return record(ops::LinearAttributes{}, replay_linear, {x, weight, bias}, y, [&] {
    return std::make_shared<LinearNode>(x, weight, needs_grad(weight), needs_grad(x));
  });
}

}  // namespace graft::functional
