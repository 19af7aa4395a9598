// Batch norm by its definition, two passes for the variance.
#include "graft/kernels/ops/batch_norm.h"

#include <cmath>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// Calls f(offset) for every element of channel c, in one fixed order.
template <class F>
void for_channel(const Extents5& e, const Strides5& s, int64_t c, F&& f) {
  for (int64_t n = 0; n < e.n; ++n)
    for (int64_t d = 0; d < e.d; ++d)
      for (int64_t h = 0; h < e.h; ++h)
        for (int64_t w = 0; w < e.w; ++w) f(s(n, c, d, h, w));
}

std::vector<double> values_or(const Tensor* t, int64_t count, double fallback) {
  return t ? t->to_doubles() : std::vector<double>(static_cast<size_t>(count), fallback);
}

void store(Tensor& t, int64_t c, double value) {
  visit_floating(t.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    t.mutable_data<T>()[c] = convert<T>(value);
  });
}

void statistics(ExecContext&, ops::BatchNormStatisticsArgs& args) {
  const Extents5 e = extents5(args.x.shape());
  const Strides5 s = strides5(args.x);
  const auto count = static_cast<double>(e.n * e.d * e.h * e.w);
  visit_floating(args.x.dtype(), "batch_norm", [&](auto zero) {
    const auto* x = args.x.data<decltype(zero)>();
    for (int64_t c = 0; c < e.c; ++c) {
      double sum = 0, squares = 0;
      for_channel(e, s, c, [&](int64_t i) { sum += convert<double>(x[i]); });
      const double mean = sum / count;
      for_channel(e, s, c, [&](int64_t i) {
        squares += (convert<double>(x[i]) - mean) * (convert<double>(x[i]) - mean);
      });
      store(args.mean, c, mean);
      store(args.variance, c, squares / count);
    }
  });
}

void apply(ExecContext&, ops::BatchNormApplyArgs& args) {
  const Extents5 e = extents5(args.x.shape());
  const Strides5 s = strides5(args.x);
  const auto mean = args.mean.to_doubles(), variance = args.variance.to_doubles();
  const auto weight = values_or(args.weight, e.c, 1), bias = values_or(args.bias, e.c, 0);
  visit_floating(args.x.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    const T* residual = args.residual ? args.residual->data<T>() : nullptr;
    T* y = args.y.mutable_data<T>();
    for (int64_t c = 0; c < e.c; ++c) {
      const auto i = static_cast<size_t>(c);
      const double scale = weight[i] / std::sqrt(variance[i] + args.attributes.eps);
      for_channel(e, s, c, [&](int64_t at) {
        double value = (convert<double>(x[at]) - mean[i]) * scale + bias[i];
        if (residual) value += convert<double>(residual[at]);
        if (args.attributes.relu && !(value > 0) && value == value) value = 0;
        y[at] = convert<T>(value);
      });
    }
  });
}

void backward(ExecContext&, ops::BatchNormBackwardArgs& args) {
  const Extents5 e = extents5(args.x.shape());
  const Strides5 s = strides5(args.x);
  const auto mean = args.mean.to_doubles(), variance = args.variance.to_doubles();
  const auto weight = values_or(args.weight, e.c, 1), bias = values_or(args.bias, e.c, 0);
  const auto count = static_cast<double>(e.n * e.d * e.h * e.w);
  visit_floating(args.x.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.x.data<T>(), *dy = args.dy.data<T>();
    const T* y = args.y ? args.y->data<T>() : nullptr;
    T* dx = args.dx ? args.dx->mutable_data<T>() : nullptr;
    T* dresidual = args.dresidual ? args.dresidual->mutable_data<T>() : nullptr;
    for (int64_t c = 0; c < e.c; ++c) {
      const auto i = static_cast<size_t>(c);
      const double inverse = 1 / std::sqrt(variance[i] + args.attributes.eps),
                   scale = weight[i] / std::sqrt(variance[i] + args.attributes.eps);
      const auto gradient = [&](int64_t at) {
        if (!args.attributes.relu) return convert<double>(dy[at]);
        const double result =
            y ? convert<double>(y[at]) : (convert<double>(x[at]) - mean[i]) * scale + bias[i];
        return result > 0 ? convert<double>(dy[at]) : 0.0;
      };
      double sum = 0, sum_normalised = 0;
      for_channel(e, s, c, [&](int64_t at) {
        const double g = gradient(at);
        sum += g;
        sum_normalised += g * (convert<double>(x[at]) - mean[i]) * inverse;
      });
      if (args.dweight) store(*args.dweight, c, sum_normalised);
      if (args.dbias) store(*args.dbias, c, sum);
      for_channel(e, s, c, [&](int64_t at) {
        const double g = gradient(at);
        if (dresidual) dresidual[at] = convert<T>(g);
        if (!dx) return;
        double centred = g;
        if (args.attributes.training)
          centred -= (sum + (convert<double>(x[at]) - mean[i]) * inverse * sum_normalised) / count;
        dx[at] = convert<T>(centred * weight[i] * inverse);
      });
    }
  });
}

void move_towards(Tensor& running, const Tensor& batch, double momentum, double scale) {
  visit_floating(running.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    const std::vector<double> values = batch.to_doubles();
    T* out = running.mutable_data<T>();
    for (size_t i = 0; i < values.size(); ++i)
      out[i] = convert<T>((1 - momentum) * convert<double>(out[i]) + momentum * scale * values[i]);
  });
}

void running(ExecContext&, ops::BatchNormRunningArgs& args) {
  const auto n = static_cast<double>(args.count);
  if (args.running_mean) move_towards(*args.running_mean, args.mean, args.momentum, 1);
  if (args.running_variance)
    move_towards(*args.running_variance, args.variance, args.momentum, n / (n - 1));
}

}  // namespace

void register_batch_norm(ops::BatchNormKernels& kernels) {
  kernels.statistics.add({"reference", takes_all, statistics});
  kernels.running.add({"reference", takes_all, running});
  kernels.apply.add({"reference", takes_all, apply});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
