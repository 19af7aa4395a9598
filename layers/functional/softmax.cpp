// functional::softmax, log_softmax and their Node.
#include "graft/kernels/ops/softmax.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/softmax.h"

namespace graft::functional {
namespace {

class SoftmaxNode final : public Node {
 public:
  SoftmaxNode(const Tensor& y, ops::SoftmaxAttributes attributes)
      : attributes_(attributes), y_(y) {}
  const char* name() const override { return "softmax"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& y = y_.get("softmax");
    Tensor dx = Tensor::empty_like(y);
    kernels_for<ops::SoftmaxKernels>(y).backward(current_context(), {y, grads[0], attributes_, dx});
    return {dx};
  }
  void release() override { y_.release(); }

 private:
  ops::SoftmaxAttributes attributes_;
  SavedTensor y_;
};

Replay replay_softmax(const ReplaySite& site) {
  const auto a = site.as<ops::SoftmaxAttributes>();
  if (a.axis == 0) return Replay::mixes_samples();
  return {
      [a](const auto& in) { return a.log ? log_softmax(in[0], a.axis) : softmax(in[0], a.axis); },
      {}};
}

Tensor softmax_along(const Tensor& x, int axis, bool log) {
  const int at = axis < 0 ? axis + x.rank() : axis;
  GRAFT_CHECK(at >= 0 && at < x.rank(), "softmax: axis ", axis, " of ", x.shape());
  const ops::SoftmaxAttributes attributes{at, log};
  Tensor y = Tensor::empty_like(x);
  kernels_for<ops::SoftmaxKernels>(x).forward(current_context(), {x, attributes, y});
  return record(attributes, replay_softmax, {x}, y,
                [&] { return std::make_shared<SoftmaxNode>(y, attributes); });
}

}  // namespace

Tensor softmax(const Tensor& x, int axis) { return softmax_along(x, axis, false); }
Tensor log_softmax(const Tensor& x, int axis) { return softmax_along(x, axis, true); }

}  // namespace graft::functional
