// functional::reduce (sum, mean, max, min) and its Node.
#include "graft/kernels/ops/reduce.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/reduce.h"

namespace graft::functional {
namespace {

class ReduceNode final : public Node {
 public:
  ReduceNode(const Tensor& x, const Tensor& y, ops::ReduceAttributes attributes)
      : attributes_(std::move(attributes)), x_(x), y_(y) {}
  const char* name() const override { return "reduce"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& x = x_.get("reduce");
    Tensor dx = Tensor::empty_like(x);
    kernels_for<ops::ReduceKernels>(x).backward(current_context(),
                                                {x, y_.get("reduce"), grads[0], attributes_, dx});
    return {dx};
  }
  void release() override {
    x_.release();
    y_.release();
  }

 private:
  ops::ReduceAttributes attributes_;
  SavedTensor x_, y_;
};

Replay replay_reduce(const ReplaySite& site) {
  const auto a = site.as<ops::ReduceAttributes>();
  if (a.axes.empty()) return Replay::mixes_samples();  // over all of them
  for (const int axis : a.axes)
    if (axis == 0 || axis == -site.ranks[0]) return Replay::mixes_samples();
  return {[a](const auto& in) { return reduce(in[0], a); }, {}};
}

}  // namespace

Tensor reduce(const Tensor& x, const ops::ReduceAttributes& attributes) {
  const bool extreme =
      attributes.function == ops::Reduce::max || attributes.function == ops::Reduce::min;
  GRAFT_CHECK(x.numel() > 0 || !extreme, "reduce: no extreme of the empty ", x.shape());
  Tensor y = Tensor::empty(ops::reduce_output_shape(x.shape(), attributes, attributes.keep_axes),
                           {.dtype = x.dtype(), .device = x.device()});
  kernels_for<ops::ReduceKernels>(x).forward(current_context(), {x, attributes, y});
  return record(attributes, replay_reduce, {x}, y,
                [&] { return std::make_shared<ReduceNode>(x, y, attributes); });
}

}  // namespace graft::functional
