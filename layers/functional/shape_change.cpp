// functional::reshape, flatten, concat, pad and their Nodes.
#include "graft/kernels/ops/shape_change.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/shape_change.h"

namespace graft::functional {
namespace {

class ReshapeNode final : public Node {
 public:
  ReshapeNode(const Shape& shape, MemoryFormat format) : shape_(shape), format_(format) {}
  const char* name() const override { return "reshape"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    return {grads[0].to(MemoryFormat::contiguous).reshape(shape_).to(format_)};
  }
  void release() override {}

 private:
  Shape shape_;
  MemoryFormat format_;
};

class ConcatNode final : public Node {
 public:
  ConcatNode(std::span<const Tensor> inputs, int axis) : axis_(axis) {
    for (const Tensor& input : inputs) {
      shapes_.push_back(input.shape());
      extents_.push_back(input.shape()[axis]);
    }
  }
  const char* name() const override { return "concat"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    std::vector<Tensor> dinputs(shapes_.size());
    for (size_t i = 0; i < shapes_.size(); ++i)
      if (needs(static_cast<int>(i))) dinputs[i] = Tensor::empty(shapes_[i], grads[0].options());
    kernels_for<ops::ShapeChangeKernels>(grads[0]).concat_backward(
        current_context(), {grads[0], axis_, dinputs, extents_});
    return dinputs;
  }
  void release() override {}

 private:
  int axis_;
  std::vector<Shape> shapes_;
  std::vector<int64_t> extents_;
};

class PadNode final : public Node {
 public:
  PadNode(const Shape& shape, ops::PadAttributes attributes)
      : shape_(shape), attributes_(std::move(attributes)) {}
  const char* name() const override { return "pad"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty(shape_, grads[0].options());
    kernels_for<ops::ShapeChangeKernels>(dx).pad_backward(current_context(),
                                                          {grads[0], attributes_, dx});
    return {dx};
  }
  void release() override {}

 private:
  Shape shape_;
  ops::PadAttributes attributes_;
};

Replay replay_reshape(const ReplaySite& site) {
  const Shape shape = site.as<ops::ReshapeAttributes>().shape;
  if (shape.rank() < 1 || shape[0] != site.samples) return Replay::mixes_samples();
  return {[shape](const auto& in) { return reshape(in[0], shape.with(0, in[0].size(0))); }, {}};
}

Replay replay_concat(const ReplaySite& site) {
  const int axis = site.as<ops::ConcatAttributes>().axis;
  if (axis == 0) return Replay::mixes_samples();
  return {[axis](const auto& in) { return concat(in, axis); }, {}};
}

Replay replay_pad(const ReplaySite& site) {
  const auto a = site.as<ops::PadAttributes>();
  if (a.begin.at(0) != 0 || a.end.at(0) != 0) return Replay::mixes_samples();
  return {[a](const auto& in) { return pad(in[0], a); }, {}};
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  Tensor ordered = x.to(MemoryFormat::contiguous);
  return record(ops::ReshapeAttributes{shape}, replay_reshape, {x}, ordered.reshape(shape),
                [&] { return std::make_shared<ReshapeNode>(x.shape(), x.format()); });
}

Tensor flatten(const Tensor& x, int start) {
  GRAFT_CHECK(start >= 0 && start < x.rank(), "flatten: axis ", start, " of ", x.shape());
  int64_t extents[Shape::max_rank] = {};
  for (int axis = 0; axis < start; ++axis) extents[axis] = x.shape()[axis];
  extents[start] = x.shape().product(start, x.rank());
  return reshape(x, Shape(std::span<const int64_t>(extents, static_cast<size_t>(start) + 1)));
}

Tensor concat(std::span<const Tensor> inputs, int axis) {
  const Shape shape = ops::concat_output_shape(inputs, axis);
  Tensor y = Tensor::empty(shape, inputs[0].options());
  kernels_for<ops::ShapeChangeKernels>(y).concat_forward(current_context(), {inputs, axis, y});
  record(ops::ConcatAttributes{axis}, replay_concat, inputs, std::span<const Tensor>(&y, 1),
         [&] { return std::make_shared<ConcatNode>(inputs, axis); });
  return y;
}

Tensor pad(const Tensor& x, const ops::PadAttributes& attributes) {
  Tensor y = Tensor::empty(ops::pad_output_shape(x.shape(), attributes), x.options());
  kernels_for<ops::ShapeChangeKernels>(x).pad_forward(current_context(), {x, attributes, y});
  return record(attributes, replay_pad, {x}, y,
                [&] { return std::make_shared<PadNode>(x.shape(), attributes); });
}

}  // namespace graft::functional
