// functional::unary (relu, sigmoid, ...) and its Node.
#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/functional.h"

namespace graft::functional {
namespace {

class UnaryNode final : public Node {
 public:
  UnaryNode(const Tensor& x, const Tensor& y, ops::UnaryAttributes attributes)
      : attributes_(attributes), x_(x), y_(y) {}
  const char* name() const override { return "unary"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty_like(x_.get("unary"));
    kernels_for(dx).unary.backward(current_context(), {x_.get("unary"), y_.get("unary"), grads[0], attributes_, dx});
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

}  // namespace

Tensor unary(const Tensor& x, ops::Unary function) {
  const ops::UnaryAttributes attributes{function};
  Tensor y = Tensor::empty_like(x);
  kernels_for(x).unary.forward(current_context(), {x, attributes, y});
  return record(attributes, {x}, y, [&] { return std::make_shared<UnaryNode>(x, y, attributes); });
}

}  // namespace graft::functional
