#include "graft/layers/modules/batch_norm2d.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/unary.h"

namespace graft {

BatchNorm2d::BatchNorm2d(const BatchNorm2dOptions& o) : options_(o) {
  GRAFT_CHECK(o.channels >= 1 && o.eps >= 0, "BatchNorm2d: ", o.channels, " channels, eps ", o.eps);
  weight_ = &register_parameter(o.names[0], Tensor::full({o.channels}, 1));
  bias_ = &register_parameter(o.names[1], Tensor::zeros({o.channels}));
  running_mean_ = &register_buffer(o.names[2], Tensor::zeros({o.channels}));
  running_var_ = &register_buffer(o.names[3], Tensor::full({o.channels}, 1));
  if (!o.names[4].empty())
    batches_ = &register_buffer(o.names[4], Tensor::zeros(Shape{}, {.dtype = DType::i64}));
}

Tensor BatchNorm2d::normalise(Conv2d& conv, const Tensor& x, bool relu, const Tensor& residual) {
  if (!normalises_by_batch() || !conv.is_plain()) return normalise(conv(x), relu, residual);
  functional::BatchStatistics statistics;
  const Tensor y = conv.forward_with_statistics(x, statistics);
  return normalise(y, relu, residual, statistics);
}

// Watched or replaced, it is run as any module is, and what follows it apart.
Tensor BatchNorm2d::normalise(const Tensor& x, bool relu, const Tensor& residual,
                              const functional::BatchStatistics& statistics) {
  if (is_plain()) return normalise_plainly(x, relu, residual, statistics);
  Tensor y = (*this)(x);
  if (residual.defined()) y = functional::add(y, residual);
  return relu ? functional::relu(y) : y;
}

Tensor BatchNorm2d::normalise_plainly(const Tensor& x, bool relu, const Tensor& residual,
                                      const functional::BatchStatistics& statistics) {
  const bool training_now = normalises_by_batch();
  std::optional<OneAtATime::Use> use;  // the running statistics are written
  if (training_now) {
    use.emplace(trained_, "a network in training");
    check_not_neutral();
  }
  if (watched_ && !training_now) watch(x);
  if (training_now && batches_) ++batches_->mutable_data<int64_t>()[0];
  return functional::batch_norm(x, *weight_, *bias_, *running_mean_, *running_var_,
                                {training_now, options_.momentum, options_.eps, relu}, residual,
                                statistics);
}

void BatchNorm2d::check_not_neutral() {
  if (!is_neutral_) return;
  const std::vector<double> mean = running_mean_->to_doubles(), var = running_var_->to_doubles();
  const double neutral = Tensor::full({1}, 1 - options_.eps).item();
  is_neutral_ = std::all_of(mean.begin(), mean.end(), [](double m) { return m == 0; }) &&
                std::all_of(var.begin(), var.end(), [&](double v) { return v == neutral; });
  GRAFT_CHECK(
      !is_neutral_, "a batch norm of ", options_.channels,
      " channels was folded into its convolution when its weights were published and has no "
      "statistics of its own: train::take_statistics() gives it some before it trains "
      "(ModelCard::neutral_norms names it)");
}

void BatchNorm2d::watch(const Tensor& x) {
  const auto channels = static_cast<size_t>(options_.channels);
  const DType dtype = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  const TensorOptions options{.dtype = dtype, .device = x.device()};
  Tensor mean = Tensor::empty({options_.channels}, options),
         variance = Tensor::empty({options_.channels}, options);
  kernels_for<ops::BatchNormKernels>(x).statistics(current_context(), {x, mean, variance});
  const std::vector<double> m = mean.to_doubles(), v = variance.to_doubles();
  Watched& w = *watched_;
  w.mean.resize(channels);
  w.squares.resize(channels);
  const double count = static_cast<double>(x.numel() / options_.channels), total = w.count + count;
  for (size_t c = 0; c < channels; ++c) {
    const double delta = m[c] - w.mean[c];
    w.mean[c] += delta * count / total;
    w.squares[c] += v[c] * count + delta * delta * w.count * count / total;
  }
  w.count = total;
}

void BatchNorm2d::adopt_watched_statistics() {
  GRAFT_CHECK(watched_ && watched_->count > 0, "batch norm: no inputs were watched");
  const std::unique_ptr<Watched> watched = std::move(watched_);
  std::vector<double> weight = weight_->to_doubles(), bias = bias_->to_doubles(),
                      mean = running_mean_->to_doubles(), variance = running_var_->to_doubles();
  for (size_t c = 0; c < weight.size(); ++c) {
    const double new_variance = watched->squares[c] / watched->count,
                 slope = weight[c] / std::sqrt(variance[c] + options_.eps);
    weight[c] = slope * std::sqrt(new_variance + options_.eps);
    bias[c] += (watched->mean[c] - mean[c]) * slope;
    mean[c] = watched->mean[c];
    variance[c] = new_variance;
  }
  const Shape shape{options_.channels};
  weight_->copy_from(Tensor::of(shape, weight));
  bias_->copy_from(Tensor::of(shape, bias));
  set_statistics(Tensor::of(shape, mean), Tensor::of(shape, variance));
}

void BatchNorm2d::set_statistics(const Tensor& mean, const Tensor& variance) {
  running_mean_->copy_from(mean);
  running_var_->copy_from(variance);
}

}  // namespace graft
