// functional::dropout and its Node.
#include "graft/kernels/ops/dropout.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/dropout.h"

namespace graft::functional {
namespace {

class DropoutNode final : public Node {
 public:
  explicit DropoutNode(const ops::DropoutAttributes& attributes) : attributes_(attributes) {}
  const char* name() const override { return "dropout"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty_like(grads[0]);
    kernels_for<ops::DropoutKernels>(dx).apply(current_context(), {grads[0], attributes_, dx});
    return {dx};
  }
  void release() override {}

 private:
  ops::DropoutAttributes attributes_;  // the mask is made again from its stream
};

Replay refuse_dropout(const ReplaySite&) {
  return Replay::refused("it draws random numbers, as in training");
}

}  // namespace

Tensor dropout(const Tensor& x, const ops::DropoutAttributes& attributes, bool training) {
  GRAFT_CHECK(attributes.probability >= 0 && attributes.probability < 1, "dropout: probability ",
              attributes.probability, " is not in [0, 1)");
  if (!training || attributes.probability == 0) return x;
  Tensor y = Tensor::empty_like(x);
  kernels_for<ops::DropoutKernels>(x).apply(current_context(), {x, attributes, y});
  return record(attributes, refuse_dropout, {x}, y,
                [&] { return std::make_shared<DropoutNode>(attributes); });
}

}  // namespace graft::functional
