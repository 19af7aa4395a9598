// functional::normalize, its Node, and the norms that are made of it or of reductions.
#include "graft/layers/functional/normalization.h"

#include "graft/core/autograd/record.h"
#include "graft/kernels/ops/normalize.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/axes.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/shape_change.h"

namespace graft::functional {
namespace {

class NormalizeNode final : public Node {
 public:
  NormalizeNode(const Tensor& y, const Tensor& scales, MemoryFormat format,
                const ops::NormalizeAttributes& attributes)
      : y_(y), scales_(scales), format_(format), attributes_(attributes) {}
  const char* name() const override { return "normalize"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor& y = y_.get("normalize");
    Tensor dx = Tensor::empty_like(y);
    kernels_for<ops::NormalizeKernels>(y).backward(
        current_context(),
        {y, scales_.get("normalize"), grads[0].to(MemoryFormat::contiguous), attributes_, dx});
    return {dx.to(format_)};
  }
  void release() override {
    y_.release();
    scales_.release();
  }

 private:
  SavedTensor y_, scales_;  // y contiguous
  MemoryFormat format_;
  ops::NormalizeAttributes attributes_;
};

// x * weight + bias, both broadcast from the right after `shape` is given to them.
Tensor affine(const Tensor& x, const Tensor& weight, const Tensor& bias, const Shape& shape) {
  const auto fitted = [&](const Tensor& t) {
    return cast(t.shape() == shape ? t : reshape(t, shape), x.dtype());
  };
  const Tensor scaled = weight.defined() ? mul(x, fitted(weight)) : x;
  return bias.defined() ? add(scaled, fitted(bias)) : scaled;
}

void check_channel_affine(const char* op, const Tensor& x, const Tensor& t) {
  GRAFT_CHECK(!t.defined() || t.shape() == Shape{x.size(1)}, op, ": weight or bias ",
              t.defined() ? t.shape() : Shape(), " for ", x.shape());
}

// [C,1,1...] for x [N,C,...].
Shape per_channel(const Tensor& x) {
  std::vector<int64_t> extents(static_cast<size_t>(x.rank()) - 1, 1);
  extents[0] = x.size(1);
  return Shape(std::span<const int64_t>(extents));
}

Tensor number(double value, const Tensor& like) { return Tensor::scalar(value, like.dtype()); }

Replay replay_normalize(const ReplaySite& site) {
  const auto a = site.as<ops::NormalizeAttributes>();
  if (a.axis == 0) return Replay::mixes_samples();
  return {[a](const auto& in) { return normalize(in[0], a.axis, a.eps, a.center); }, {}};
}

}  // namespace

Tensor normalize(const Tensor& x, int axis, double eps, bool center) {
  const ops::NormalizeAttributes attributes{axis_of("normalize", axis, x.rank()), eps, center};
  const Tensor ordered = x.to(MemoryFormat::contiguous);
  Tensor y = Tensor::empty_like(ordered), scales;
  const bool recorded = will_record({x});
  if (recorded)
    scales = Tensor::empty({x.shape().product(0, attributes.axis)},
                           {.dtype = DType::f64, .device = x.device()});
  kernels_for<ops::NormalizeKernels>(x).forward(
      current_context(), {ordered, attributes, y, recorded ? &scales : nullptr});
  return record(attributes, replay_normalize, {x}, y.to(x.format()),
                [&] { return std::make_shared<NormalizeNode>(y, scales, x.format(), attributes); });
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, int axis, double eps) {
  const Tensor y = normalize(x, axis, eps);
  for (const Tensor& t : {weight, bias})
    GRAFT_CHECK(!t.defined() || ops::broadcast_shape(t.shape(), x.shape()) == x.shape(),
                "layer_norm: weight or bias ", t.defined() ? t.shape() : Shape(), " for ",
                x.shape());
  const Tensor scaled = weight.defined() ? mul(y, cast(weight, x.dtype())) : y;
  return bias.defined() ? add(scaled, cast(bias, x.dtype())) : scaled;
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, int axis, double eps) {
  const Tensor y = normalize(x, axis, eps, false);
  if (!weight.defined()) return y;
  GRAFT_CHECK(ops::broadcast_shape(weight.shape(), x.shape()) == x.shape(), "rms_norm: weight ",
              weight.shape(), " for ", x.shape());
  return mul(y, cast(weight, x.dtype()));
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  double eps) {
  GRAFT_CHECK(x.rank() >= 2 && groups >= 1 && x.size(1) % groups == 0, "group_norm: ", groups,
              " groups of ", x.shape());
  for (const Tensor& t : {weight, bias}) check_channel_affine("group_norm", x, t);
  const int64_t samples = x.size(0), in_group = x.size(1) / groups * x.shape().product(2, x.rank());
  const Tensor y = reshape(normalize(reshape(x, {samples, groups, in_group}), 2, eps), x.shape());
  return affine(to_format(y, x.format()), weight, bias, per_channel(x));
}

Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  GRAFT_CHECK(x.rank() >= 3, "instance_norm: ", x.shape(), " has no spatial axes");
  for (const Tensor& t : {weight, bias}) check_channel_affine("instance_norm", x, t);
  return affine(normalize(x, 2, eps), weight, bias, per_channel(x));
}

Tensor local_response_norm(const Tensor& x, const LocalResponseNormOptions& options) {
  const int64_t size = options.size;
  GRAFT_CHECK(x.rank() >= 2 && size >= 1, "local_response_norm: size ", size, " for ", x.shape());
  // The mean of x^2 over channels is an average pooling of [N,1,C,pixels]; padding counts.
  ops::AveragePoolAttributes mean;
  mean.window.kernel = {size, 1, 1};
  mean.window.pad_begin = {(size - 1) / 2, 0, 0};
  mean.window.pad_end = {size / 2, 0, 0};
  const Tensor rows = reshape(mul(x, x), {x.size(0), 1, x.size(1), x.shape().product(2, x.rank())});
  const Tensor squares = to_format(reshape(average_pool(rows, mean), x.shape()), x.format());
  const Tensor base = add(mul(squares, number(options.alpha, x)), number(options.bias, x));
  return mul(x, binary(base, number(-options.beta, x), ops::Binary::pow));
}

Tensor lp_normalization(const Tensor& x, int axis, int p) {
  GRAFT_CHECK(p == 1 || p == 2, "lp_normalization: p is ", p, ", expected 1 or 2");
  const Tensor norm =
      to_format(reduce(x, {p == 1 ? ops::Reduce::l1 : ops::Reduce::l2, {axis}, true}), x.format());
  const Tensor nonzero_norm =
      where(binary(norm, number(0, x), ops::Binary::equal), number(1, x), norm);
  return div(x, nonzero_norm);
}

Tensor mean_variance_normalization(const Tensor& x, std::vector<int> axes) {
  const ops::ReduceAttributes mean{ops::Reduce::mean, std::move(axes), true};
  const Tensor centred = sub(x, to_format(reduce(x, mean), x.format()));
  const Tensor variance = to_format(reduce(mul(centred, centred), mean), x.format());
  return div(centred, add(sqrt(variance), number(1e-9, x)));
}

}  // namespace graft::functional
