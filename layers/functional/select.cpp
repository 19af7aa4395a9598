// functional::where, cast, to_format and their Nodes.
#include "graft/kernels/ops/select.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/beside.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/trace_step.h"

namespace graft::functional {
namespace {

class WhereNode final : public Node {
 public:
  WhereNode(const Tensor& condition, const Tensor& a, const Tensor& b)
      : condition_(condition),
        a_shape_(a.shape()),
        b_shape_(b.shape()),
        a_options_(a.options()),
        b_options_(b.options()) {}
  const char* name() const override { return "where"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor da, db;
    if (needs(1)) da = Tensor::empty(a_shape_, a_options_);
    if (needs(2)) db = Tensor::empty(b_shape_, b_options_);
    kernels_for<ops::SelectKernels>(grads[0]).where_backward(
        current_context(),
        {condition_.get("where"), grads[0], needs(1) ? &da : nullptr, needs(2) ? &db : nullptr});
    return {Tensor(), da, db};
  }
  void release() override { condition_.release(); }

 private:
  SavedTensor condition_;
  Shape a_shape_, b_shape_;
  TensorOptions a_options_, b_options_;
};

Tensor run_cast(const Tensor& x, DType dtype) {
  TensorOptions options = x.options();
  options.dtype = dtype;
  Tensor y = Tensor::empty(x.shape(), options);
  kernels_for<ops::SelectKernels>(x).cast(current_context(), {x, y});
  return y;
}

class CastNode final : public Node {
 public:
  explicit CastNode(DType from) : from_(from) {}
  const char* name() const override { return "cast"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    return {run_cast(grads[0], from_)};
  }
  void release() override {}

 private:
  DType from_;
};

class FormatNode final : public Node {
 public:
  explicit FormatNode(MemoryFormat from) : from_(from) {}
  const char* name() const override { return "format"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    return {grads[0].to(from_)};
  }
  void release() override {}

 private:
  MemoryFormat from_;
};

// Where several operands hold samples, these must be the first axis of each.
Replay replay_where(const ReplaySite& site) {
  if (!samples_lie_alike(site)) return Replay::mixes_samples();
  return {[](const auto& in) { return where(in[0], in[1], in[2]); }, {}};
}

Replay replay_cast(const ReplaySite& site) {
  const DType dtype = site.as<ops::CastAttributes>().dtype;
  return {[dtype](const auto& in) { return cast(in[0], dtype); }, {}};
}

Replay replay_format(const ReplaySite& site) {
  const MemoryFormat format = site.as<ops::FormatAttributes>().format;
  return {[format](const auto& in) { return to_format(in[0], format); }, {}};
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  if (const Device device = meeting_place({condition, a, b});
      condition.device() != device || a.device() != device || b.device() != device)
    return where(beside("where", condition, device), beside("where", a, device),
                 beside("where", b, device));
  GRAFT_CHECK(condition.dtype() == DType::boolean, "where: a condition of ",
              name_of(condition.dtype()), ", expected bool");
  GRAFT_CHECK(a.dtype() == b.dtype(), "where: ", name_of(a.dtype()), " and ", name_of(b.dtype()),
              " do not mix");
  const Shape shape =
      ops::broadcast_shape(ops::broadcast_shape(condition.shape(), a.shape()), b.shape());
  TensorOptions options = a.options();
  options.format = a.shape() == shape ? a.format() : b.format();
  Tensor y = Tensor::empty(shape, options);
  kernels_for<ops::SelectKernels>(a).where_forward(current_context(), {condition, a, b, y});
  return record(ops::WhereAttributes{}, replay_where, {condition, a, b}, y,
                [&] { return std::make_shared<WhereNode>(condition, a, b); });
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const Tensor y = run_cast(x, dtype);
  if (!is_floating(dtype)) return trace_step(ops::CastAttributes{dtype}, replay_cast, {x}, y);
  return record(ops::CastAttributes{dtype}, replay_cast, {x}, y,
                [&] { return std::make_shared<CastNode>(x.dtype()); });
}

Tensor to_format(const Tensor& x, MemoryFormat format) {
  if (x.format() == format || x.rank() != 4) return x;
  return record(ops::FormatAttributes{format}, replay_format, {x}, x.to(format),
                [&] { return std::make_shared<FormatNode>(x.format()); });
}

}  // namespace graft::functional
