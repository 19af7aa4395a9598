// functional::argmax, argmin, topk, cumulative_sum and their Nodes.
#include "graft/kernels/ops/ordering.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/ops/indexing.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/axes.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduction.h"
#include "graft/layers/functional/trace_step.h"

namespace graft::functional {
namespace {

Tensor arg_extreme(const Tensor& x, ops::ArgExtremeAttributes attributes, bool keep_axis);

Replay replay_arg_extreme(const ReplaySite& site) {
  const auto a = site.as<ops::ArgExtremeAttributes>();
  if (a.axis == 0) return Replay::mixes_samples();
  return {[a](const auto& in) { return arg_extreme(in[0], a, true); }, {}};
}

Tensor arg_extreme(const Tensor& x, ops::ArgExtremeAttributes attributes, bool keep_axis) {
  attributes.axis = axis_of("argmax", attributes.axis, x.rank());
  GRAFT_CHECK(x.shape()[attributes.axis] > 0, "argmax: axis ", attributes.axis, " of ", x.shape(),
              " is empty");
  TensorOptions options = x.options();
  options.dtype = DType::i64;
  Tensor y = Tensor::empty(x.shape().with(attributes.axis, 1), options);
  kernels_for<ops::OrderingKernels>(x).arg_extreme(current_context(), {x, attributes, y});
  trace_step(attributes, replay_arg_extreme, {x}, y);
  const int axes[] = {attributes.axis};
  return keep_axis ? y : squeeze(y, axes);
}

// dx = dy where the values came from, 0 elsewhere.
class TopKNode final : public Node {
 public:
  TopKNode(const Tensor& x, const Tensor& indices, int axis)
      : shape_(x.shape()), options_(x.options()), indices_(indices), axis_(axis) {}
  const char* name() const override { return "topk"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const TensorOptions in_order{.dtype = options_.dtype, .device = options_.device};
    const Tensor zeros = Tensor::zeros(shape_, in_order),
                 updates = grads[0].to(MemoryFormat::contiguous);
    Tensor dx = Tensor::empty(shape_, in_order);
    const ops::ScatterAttributes attributes{ops::Indexing::elements, axis_,
                                            ops::ScatterReduction::none};
    kernels_for<ops::IndexingKernels>(dx).scatter_forward(
        current_context(),
        {zeros, indices_.get("topk").to(MemoryFormat::contiguous), updates, attributes, dx});
    return {dx.to(options_.format)};
  }
  void release() override { indices_.release(); }

 private:
  Shape shape_;
  TensorOptions options_;
  SavedTensor indices_;
  int axis_;
};

class CumulativeSumNode final : public Node {
 public:
  explicit CumulativeSumNode(ops::CumulativeSumAttributes attributes) : attributes_(attributes) {
    attributes_.reverse = !attributes_.reverse;
  }
  const char* name() const override { return "cumulative_sum"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty_like(grads[0]);
    kernels_for<ops::OrderingKernels>(dx).cumulative_sum(current_context(),
                                                         {grads[0], attributes_, dx});
    return {dx};
  }
  void release() override {}

 private:
  ops::CumulativeSumAttributes attributes_;
};

Replay replay_cumulative_sum(const ReplaySite& site) {
  const auto a = site.as<ops::CumulativeSumAttributes>();
  if (a.axis == 0) return Replay::mixes_samples();
  return {[a](const auto& in) { return cumulative_sum(in[0], a.axis, a.exclusive, a.reverse); },
          {}};
}

Replay refuse_topk(const ReplaySite&) { return Replay::refused("it has two results"); }

}  // namespace

Tensor argmax(const Tensor& x, int axis, bool keep_axis, bool last) {
  return arg_extreme(x, {axis, true, last}, keep_axis);
}
Tensor argmin(const Tensor& x, int axis, bool keep_axis, bool last) {
  return arg_extreme(x, {axis, false, last}, keep_axis);
}

TopK topk(const Tensor& x, int64_t k, int axis, bool largest) {
  const ops::TopKAttributes attributes{axis_of("topk", axis, x.rank()), k, largest};
  GRAFT_CHECK(k >= 0 && k <= x.shape()[attributes.axis], "topk: ", k, " elements of axis ",
              attributes.axis, " of ", x.shape());
  const Shape shape = x.shape().with(attributes.axis, k);
  TensorOptions options = x.options();
  TopK result{Tensor::empty(shape, options), Tensor()};
  options.dtype = DType::i64;
  result.indices = Tensor::empty(shape, options);
  kernels_for<ops::OrderingKernels>(x).topk(current_context(),
                                            {x, attributes, result.values, result.indices});
  if (Trace* trace = current_trace())
    trace->add(
        {ops::TopKAttributes::id, attributes, {x}, {result.values, result.indices}, refuse_topk});
  if (will_record({x}))  // of the two results the values alone have a gradient
    attach_node(std::make_shared<TopKNode>(x, result.indices, attributes.axis), std::span(&x, 1),
                std::span(&result.values, 1));
  return result;
}

Tensor cumulative_sum(const Tensor& x, int axis, bool exclusive, bool reverse) {
  const ops::CumulativeSumAttributes attributes{axis_of("cumulative_sum", axis, x.rank()),
                                                exclusive, reverse};
  Tensor y = Tensor::empty_like(x);
  kernels_for<ops::OrderingKernels>(x).cumulative_sum(current_context(), {x, attributes, y});
  return record(attributes, replay_cumulative_sum, {x}, y,
                [&] { return std::make_shared<CumulativeSumNode>(attributes); });
}

}  // namespace graft::functional
