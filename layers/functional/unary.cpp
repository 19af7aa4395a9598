// functional::unary (relu, sigmoid, gelu, ...) and its Node.
#include "graft/kernels/ops/unary.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/trace_step.h"

namespace graft::functional {
namespace {

class UnaryNode final : public Node {
 public:
  UnaryNode(const Tensor& x, const Tensor& y, ops::UnaryAttributes attributes)
      : attributes_(attributes), x_(x), y_(y) {}
  const char* name() const override { return "unary"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& x = x_.get("unary");
    Tensor dx = Tensor::empty_like(x);
    const Tensor dy = grads[0].to(x.format());
    kernels_for<ops::UnaryKernels>(dx).backward(current_context(),
                                                {x, y_.get("unary"), dy, attributes_, dx});
    return {dx};
  }
  void release() override {
    x_.release();
    y_.release();
  }

 private:
  ops::UnaryAttributes attributes_;
  SavedTensor x_, y_;
};

Replay replay_unary(const ReplaySite& site) {
  const auto a = site.as<ops::UnaryAttributes>();
  return {[a](const auto& in) { return unary(in[0], a); }, {}};
}

}  // namespace

Tensor unary(const Tensor& x, const ops::UnaryAttributes& attributes) {
  TensorOptions options = x.options();
  const bool predicate = ops::is_predicate(attributes.function);
  if (predicate) options.dtype = DType::boolean;
  Tensor y = Tensor::empty(x.shape(), options);
  kernels_for<ops::UnaryKernels>(x).forward(current_context(), {x, attributes, y});
  if (predicate) return trace_step(attributes, replay_unary, {x}, y);
  return record(attributes, replay_unary, {x}, y,
                [&] { return std::make_shared<UnaryNode>(x, y, attributes); });
}

Tensor unary(const Tensor& x, ops::Unary function) {
  return unary(x, ops::UnaryAttributes{function});
}

}  // namespace graft::functional
