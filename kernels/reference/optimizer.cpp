// Optimizers' steps, element after element.
#include "graft/kernels/ops/optimizer.h"

#include <cmath>

#include "graft/kernels/reference/register.h"

namespace graft::ops {

template <class T>
AdamNumbers<T>::AdamNumbers(const AdamAttributes& a) {
  const double t = static_cast<double>(a.step);
  step = static_cast<T>(a.lr / (1 - std::pow(a.beta1, t)));
  root = static_cast<T>(std::sqrt(1 - std::pow(a.beta2, t)));
  beta2 = static_cast<T>(a.beta2), eps = static_cast<T>(a.eps);
  rest1 = static_cast<T>(1 - a.beta1), rest2 = static_cast<T>(1 - a.beta2);
  added = static_cast<T>(a.decoupled ? 0 : a.weight_decay);
  kept = static_cast<T>(a.decoupled ? 1 - a.lr * a.weight_decay : 1);
}
template struct AdamNumbers<float>;
template struct AdamNumbers<double>;

}  // namespace graft::ops

namespace graft::reference {
namespace {

template <class F>
void visit_parameter(const Tensor& weight, F&& f) {
  if (weight.dtype() == DType::f64) f(double{});
  else f(float{});
}

void sgd(ExecContext&, ops::SgdArgs& args) {
  visit_parameter(args.weight, [&](auto zero) {
    using T = decltype(zero);
    const ops::SgdNumbers<T> n(args.attributes);
    const T* grad = args.grad.data<T>();
    T* weight = args.weight.mutable_data<T>();
    T* velocity = args.velocity ? args.velocity->mutable_data<T>() : nullptr;
    for (int64_t i = 0; i < args.weight.numel(); ++i) {
      const T g = grad[i] + n.decay * weight[i];
      T change = g;
      if (velocity) {
        velocity[i] = n.momentum * velocity[i] + g;
        change = n.nesterov ? g + n.momentum * velocity[i] : velocity[i];
      }
      weight[i] -= n.lr * change;
    }
  });
}

void adam(ExecContext&, ops::AdamArgs& args) {
  visit_parameter(args.weight, [&](auto zero) {
    using T = decltype(zero);
    const ops::AdamNumbers<T> n(args.attributes);
    const T* grad = args.grad.data<T>();
    T *weight = args.weight.mutable_data<T>(), *mean = args.mean.mutable_data<T>(), *square = args.square.mutable_data<T>();
    for (int64_t i = 0; i < args.weight.numel(); ++i) {
      const T w = weight[i] * n.kept, g = grad[i] + n.added * weight[i];
      mean[i] = mean[i] + (g - mean[i]) * n.rest1;
      square[i] = n.beta2 * square[i] + n.rest2 * g * g;
      weight[i] = w - n.step * (mean[i] / (std::sqrt(square[i]) / n.root + n.eps));
    }
  });
}

}  // namespace

void register_optimizer(KernelSet& set) {
  set.optimizer.sgd.add({"reference", takes_all, sgd});
  set.optimizer.adam.add({"reference", takes_all, adam});
}

}  // namespace graft::reference
