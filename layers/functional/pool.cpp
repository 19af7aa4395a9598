// functional::max_pool, average_pool, adaptive_average_pool and their Nodes.
#include "graft/kernels/ops/pool.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/line_as_row.h"
#include "graft/layers/functional/pool.h"

namespace graft::functional {
namespace {

class MaxPoolNode final : public Node {
 public:
  MaxPoolNode(const Tensor& x, const Tensor& indices, const ops::MaxPoolAttributes& attributes)
      : attributes_(attributes), shape_(x.shape()), options_(x.options()), indices_(indices) {}
  const char* name() const override { return "max_pool"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty(shape_, options_);
    kernels_for<ops::PoolKernels>(dx).max_backward(
        current_context(), {grads[0], indices_.get("max_pool"), attributes_, dx});
    return {dx};
  }
  void release() override { indices_.release(); }

 private:
  ops::MaxPoolAttributes attributes_;
  Shape shape_;
  TensorOptions options_;
  SavedTensor indices_;
};

class AveragePoolNode final : public Node {
 public:
  AveragePoolNode(const Tensor& x, const ops::AveragePoolAttributes& attributes)
      : attributes_(attributes), shape_(x.shape()), options_(x.options()) {}
  const char* name() const override { return "average_pool"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty(shape_, options_);
    kernels_for<ops::PoolKernels>(dx).average_backward(current_context(),
                                                       {grads[0], attributes_, dx});
    return {dx};
  }
  void release() override {}

 private:
  ops::AveragePoolAttributes attributes_;
  Shape shape_;
  TensorOptions options_;
};

class AdaptiveAveragePoolNode final : public Node {
 public:
  AdaptiveAveragePoolNode(const Tensor& x, const ops::AdaptiveAveragePoolAttributes& attributes)
      : attributes_(attributes), shape_(x.shape()), options_(x.options()) {}
  const char* name() const override { return "adaptive_average_pool"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty(shape_, options_);
    kernels_for<ops::PoolKernels>(dx).adaptive_backward(current_context(),
                                                        {grads[0], attributes_, dx});
    return {dx};
  }
  void release() override {}

 private:
  ops::AdaptiveAveragePoolAttributes attributes_;
  Shape shape_;
  TensorOptions options_;
};

Replay replay_max_pool(const ReplaySite& site) {
  const auto a = site.as<ops::MaxPoolAttributes>();
  return {[a](const auto& in) { return max_pool(in[0], a); }, {}};
}

Replay replay_average_pool(const ReplaySite& site) {
  const auto a = site.as<ops::AveragePoolAttributes>();
  return {[a](const auto& in) { return average_pool(in[0], a); }, {}};
}

Replay replay_adaptive_average_pool(const ReplaySite& site) {
  const auto a = site.as<ops::AdaptiveAveragePoolAttributes>();
  return {[a](const auto& in) { return adaptive_average_pool(in[0], a); }, {}};
}

}  // namespace

Tensor max_pool(const Tensor& x, const ops::MaxPoolAttributes& attributes) {
  if (is_devices_line(x)) return as_line(max_pool(as_row(x), along_row(attributes)));
  Tensor y = Tensor::empty(
      ops::pool_output_shape("max_pool", x.shape(), attributes.window, attributes.ceil_mode),
      x.options());
  Tensor indices;  // only backward needs them
  if (will_record({x})) {
    TensorOptions options = y.options();
    options.dtype = DType::i32;
    indices = Tensor::empty(y.shape(), options);
  }
  kernels_for<ops::PoolKernels>(x).max_forward(
      current_context(), {x, attributes, y, indices.defined() ? &indices : nullptr});
  return record(attributes, replay_max_pool, {x}, y,
                [&] { return std::make_shared<MaxPoolNode>(x, indices, attributes); });
}

Tensor average_pool(const Tensor& x, const ops::AveragePoolAttributes& attributes) {
  if (is_devices_line(x)) return as_line(average_pool(as_row(x), along_row(attributes)));
  Tensor y = Tensor::empty(
      ops::pool_output_shape("average_pool", x.shape(), attributes.window, attributes.ceil_mode),
      x.options());
  kernels_for<ops::PoolKernels>(x).average_forward(current_context(), {x, attributes, y});
  return record(attributes, replay_average_pool, {x}, y,
                [&] { return std::make_shared<AveragePoolNode>(x, attributes); });
}

Tensor adaptive_average_pool(const Tensor& x,
                             const ops::AdaptiveAveragePoolAttributes& attributes) {
  if (is_devices_line(x))
    return as_line(adaptive_average_pool(as_row(x), {{1, attributes.output[0], 1}}));
  Tensor y = Tensor::empty(ops::adaptive_pool_output_shape(x.shape(), attributes), x.options());
  kernels_for<ops::PoolKernels>(x).adaptive_forward(current_context(), {x, attributes, y});
  return record(attributes, replay_adaptive_average_pool, {x}, y,
                [&] { return std::make_shared<AdaptiveAveragePoolNode>(x, attributes); });
}

Tensor global_average_pool(const Tensor& x) { return adaptive_average_pool(x, {}); }

}  // namespace graft::functional
