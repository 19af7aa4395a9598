// functional::cross_entropy, mean_squared_error, binary_cross_entropy_with_logits and their Node.
#include "graft/kernels/ops/loss.h"

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/loss.h"

namespace graft::functional {
namespace {

// The kernel has made the gradient for an incoming gradient of 1; backward scales it.
class LossNode final : public Node {
 public:
  LossNode(const char* name, const Tensor& dx) : name_(name), dx_(dx) {}
  const char* name() const override { return name_; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& dx = dx_.get(name_);
    Tensor factor = grads[0];
    if (is_cpu(factor.device())) {  // on a device nobody looks: that would wait for it
      const double scale = factor.item();
      if (scale == 1.0) return {dx};
      factor = Tensor::scalar(scale, dx.dtype());
    }
    Tensor scaled = Tensor::empty_like(dx);
    const ops::BinaryAttributes multiply{ops::Binary::mul};
    kernels_for<ops::BinaryKernels>(dx).forward(current_context(), {dx, factor, multiply, scaled});
    return {scaled};
  }
  void release() override { dx_.release(); }

 private:
  const char* name_;
  SavedTensor dx_;
};

Replay refuse_loss(const ReplaySite&) {
  return Replay::refused("a loss is one number for the whole batch");
}

void check_labels(const Tensor& labels, int64_t classes) {
  const int64_t* label = labels.data<int64_t>();
  for (int64_t n = 0; n < labels.numel(); ++n)
    GRAFT_CHECK(label[n] >= 0 && label[n] < classes, "cross_entropy: label ", label[n],
                " of sample ", n, " is not in [0, ", classes, ")");
}

Tensor pair_loss(const Tensor& x, const Tensor& target, const ops::PairLossAttributes& attributes) {
  GRAFT_CHECK(
      x.shape() == target.shape() && x.dtype() == target.dtype() && x.format() == target.format(),
      "pair_loss: input ", x.shape(), " and target ", target.shape(),
      " differ in shape, type or layout");
  Tensor loss = Tensor::empty(Shape{}, {.dtype = x.dtype(), .device = x.device()});
  Tensor dx;
  if (will_record({x})) dx = Tensor::empty_like(x);
  kernels_for<ops::LossKernels>(x).pair(
      current_context(), {x, target, attributes, loss, dx.defined() ? &dx : nullptr});
  return record(attributes, refuse_loss, {x}, loss,
                [&] { return std::make_shared<LossNode>("pair_loss", dx); });
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                     const CrossEntropyOptions& options) {
  GRAFT_CHECK(logits.rank() == 2 && logits.shape()[0] >= 1 && logits.shape()[1] >= 1,
              "cross_entropy: logits ", logits.shape());
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  if (is_floating(target.dtype())) {
    GRAFT_CHECK(target.shape() == logits.shape(), "cross_entropy: probabilities ", target.shape(),
                " for logits ", logits.shape());
  } else {
    GRAFT_CHECK(target.shape() == Shape{rows} && target.dtype() == DType::i64,
                "cross_entropy: labels ", target.shape(), " of ", name_of(target.dtype()),
                " for logits ", logits.shape());
    if (is_cpu(target.device()))
      check_labels(target, classes);  // a device's kernel makes the loss NaN
  }
  GRAFT_CHECK(options.label_smoothing >= 0 && options.label_smoothing < 1,
              "cross_entropy: label smoothing ", options.label_smoothing);
  const Tensor& weights = options.class_weights;
  GRAFT_CHECK(!weights.defined() || weights.shape() == Shape{classes},
              "cross_entropy: class weights for ", classes, " classes");
  const ops::CrossEntropyAttributes attributes{options.label_smoothing, options.reduction};
  Tensor loss = Tensor::empty(Shape{}, {.dtype = logits.dtype(), .device = logits.device()});
  Tensor dlogits;
  if (will_record({logits})) dlogits = Tensor::empty_like(logits);
  kernels_for<ops::LossKernels>(logits).cross_entropy(
      current_context(), {logits, target, weights.defined() ? &weights : nullptr, attributes, loss,
                          dlogits.defined() ? &dlogits : nullptr});
  return record(attributes, refuse_loss, {logits}, loss,
                [&] { return std::make_shared<LossNode>("cross_entropy", dlogits); });
}

Tensor mean_squared_error(const Tensor& x, const Tensor& target, ops::Reduction reduction) {
  return pair_loss(x, target, {ops::PairLoss::mean_squared_error, reduction});
}

Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                        ops::Reduction reduction) {
  return pair_loss(x, target, {ops::PairLoss::binary_cross_entropy_with_logits, reduction});
}

}  // namespace graft::functional
