// functional::binary (add, mul, less, ...), pow and their Node.
#include "graft/kernels/ops/binary.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/beside.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/trace_step.h"

namespace graft::functional {
namespace {

class BinaryNode final : public Node {
 public:
  BinaryNode(const Tensor& a, const Tensor& b, ops::BinaryAttributes attributes)
      : attributes_(attributes), a_(a), b_(b) {}
  const char* name() const override { return "binary"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor &a = a_.get("binary"), &b = b_.get("binary");
    const Tensor& dy = grads[0];
    const bool passes = attributes_.function == ops::Binary::add;
    const bool pass_a = passes && a.shape() == dy.shape(),
               pass_b = passes && b.shape() == dy.shape();
    Tensor da, db;
    if (needs(0)) da = pass_a ? dy : Tensor::empty_like(a);
    if (needs(1)) db = pass_b ? dy : Tensor::empty_like(b);
    Tensor* into_a = needs(0) && !pass_a ? &da : nullptr;
    Tensor* into_b = needs(1) && !pass_b ? &db : nullptr;
    if (into_a || into_b)
      kernels_for<ops::BinaryKernels>(dy).backward(current_context(),
                                                   {a, b, dy, attributes_, into_a, into_b});
    return {da, db};
  }
  void release() override {
    a_.release();
    b_.release();
  }

 private:
  ops::BinaryAttributes attributes_;
  SavedTensor a_, b_;
};

// An addition's gradient needs shapes only: it keeps no elements.
class AddNode final : public Node {
 public:
  const char* name() const override { return "add"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    return {needs(0) ? grads[0] : Tensor(), needs(1) ? grads[0] : Tensor()};
  }
  void release() override {}
};

// Both layouts hold the same bits when an image is one pixel or has one channel.
bool same_in_both_layouts(const Shape& s) { return s.rank() != 4 || s[1] == 1 || s[2] * s[3] == 1; }

Replay replay_binary(const ReplaySite& site) {
  if (!samples_lie_alike(site)) return Replay::mixes_samples();
  const ops::Binary function = site.as<ops::BinaryAttributes>().function;
  return {[function](const auto& in) { return binary(in[0], in[1], function); }, {}};
}

}  // namespace

Tensor binary(const Tensor& a, const Tensor& b, ops::Binary function) {
  if (a.device() != b.device()) {
    const Device device = meeting_place({a, b});
    return binary(beside("binary", a, device), beside("binary", b, device), function);
  }
  GRAFT_CHECK(a.dtype() == b.dtype(), "binary: ", name_of(a.dtype()), " and ", name_of(b.dtype()),
              " do not mix");
  const Shape shape = ops::broadcast_shape(a.shape(), b.shape());
  GRAFT_CHECK(a.format() == b.format() || same_in_both_layouts(a.shape()) ||
                  same_in_both_layouts(b.shape()),
              "binary: ", a.shape(), " is ", name_of(a.format()), ", ", b.shape(), " is ",
              name_of(b.format()));
  const ops::BinaryAttributes attributes{function};
  TensorOptions options = a.options();
  options.format = same_in_both_layouts(a.shape()) ? b.format() : a.format();
  const bool predicate = ops::is_predicate(function);
  if (predicate) options.dtype = DType::boolean;
  Tensor y = Tensor::empty(shape, options);
  kernels_for<ops::BinaryKernels>(a).forward(current_context(), {a, b, attributes, y});
  if (predicate) return trace_step(attributes, replay_binary, {a, b}, y);
  const bool plain_add = function == ops::Binary::add && a.shape() == b.shape();
  return record(attributes, replay_binary, {a, b}, y, [&]() -> std::shared_ptr<Node> {
    if (plain_add) return std::make_shared<AddNode>();
    return std::make_shared<BinaryNode>(a, b, attributes);
  });
}

Tensor pow(const Tensor& a, const Tensor& b) {
  if (!is_floating(a.dtype()) && is_floating(b.dtype()))
    return cast(binary(cast(a, DType::f64), cast(b, DType::f64), ops::Binary::pow), a.dtype());
  return binary(a, cast(b, a.dtype()), ops::Binary::pow);
}

}  // namespace graft::functional
