// An optimizer's step, element after element.
#include "graft/kernels/ops/optimizer.h"

#include <cmath>

#include "graft/kernels/ops/trust_ratio.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

using ops::OptimizerParameter;

template <class F>
void visit_parameter(const Tensor& weight, F&& f) {
  if (weight.dtype() == DType::f64)
    f(double{});
  else
    f(float{});
}

// The factor for every gradient; 0 when the step is left out.
double gradient_factor(const ops::OptimizerStepArgs& args) {
  const ops::OptimizerStepAttributes& a = args.attributes;
  const double scale = args.numbers.data<double>()[ops::gradient_scale];
  if (a.max_norm <= 0 && !a.skip_if_not_finite) return scale;
  double squares = 0;
  for (const OptimizerParameter& p : args.parameters)
    for (const double g : p.gradient.to_doubles()) squares += g * g;
  const double norm = std::sqrt(squares) * scale;
  if (a.skip_if_not_finite && !std::isfinite(norm)) return 0;
  return a.max_norm > 0 && norm > a.max_norm ? scale * (a.max_norm / norm) : scale;
}

template <class T>
double all_squares(const Tensor& x) {
  return ops::over_pieces(x.numel(), [&](int64_t at, int64_t count) {
    return ops::squares_of(x.data<T>() + at, count);
  });
}

template <class T>
double lars_ratio(const OptimizerParameter& p, const ops::OptimizerStepAttributes& attributes,
                  double factor) {
  if (!ops::is_adapted(attributes, p)) return 1;
  return ops::lars_ratio(attributes, p, all_squares<T>(p.weight), all_squares<T>(p.gradient),
                         factor);
}

template <class T>
void lamb(OptimizerParameter& p, const ops::OptimizerStepArgs& args,
          const ops::OptimizerStepNumbers<T>& n, T factor) {
  const ops::LambSpan<T> all{p.gradient.data<T>(), p.weight.mutable_data<T>(),
                             p.first.mutable_data<T>(), p.second.mutable_data<T>(),
                             p.weight.numel()};
  ops::LambSquares squares;
  for (int64_t at = 0; at < all.count; at += ops::kSquaresPiece) {
    const ops::LambSquares piece = ops::lamb_moments(
        ops::LambSpan<T>{all.gradient + at, all.weight + at, all.mean + at, all.square + at,
                         std::min(ops::kSquaresPiece, all.count - at)},
        n, factor);
    squares.weight += piece.weight;
    squares.update += piece.update;
  }
  ops::lamb_apply(all, n,
                  static_cast<T>(ops::is_adapted(args.attributes, p)
                                     ? ops::lamb_ratio(squares.weight, squares.update)
                                     : 1));
}

template <class T>
void sgd(OptimizerParameter& p, const ops::OptimizerStepNumbers<T>& n, T factor) {
  const T* grad = p.gradient.data<T>();
  T* weight = p.weight.mutable_data<T>();
  T* velocity = p.first.defined() ? p.first.mutable_data<T>() : nullptr;
  for (int64_t i = 0; i < p.weight.numel(); ++i) {
    const T g = grad[i] * factor + n.decay * weight[i];
    T change = g;
    if (velocity) {
      velocity[i] = n.momentum * velocity[i] + g;
      change = n.nesterov ? g + n.momentum * velocity[i] : velocity[i];
    }
    weight[i] -= n.lr * change;
  }
}

template <class T>
void adam(OptimizerParameter& p, const ops::OptimizerStepNumbers<T>& n, T factor) {
  const T* grad = p.gradient.data<T>();
  T *weight = p.weight.mutable_data<T>(), *mean = p.first.mutable_data<T>(),
    *square = p.second.mutable_data<T>();
  for (int64_t i = 0; i < p.weight.numel(); ++i) {
    const T w = weight[i] * n.kept, g = grad[i] * factor + n.decay * weight[i];
    mean[i] = mean[i] + (g - mean[i]) * n.rest1;
    square[i] = n.beta2 * square[i] + n.rest2 * g * g;
    weight[i] = w - n.lr * (mean[i] / (std::sqrt(square[i]) / n.root + n.eps));
  }
}

template <class T>
void rmsprop(OptimizerParameter& p, const ops::OptimizerStepNumbers<T>& n, T factor) {
  const T* grad = p.gradient.data<T>();
  T *weight = p.weight.mutable_data<T>(), *square = p.first.mutable_data<T>();
  T* velocity = p.second.defined() ? p.second.mutable_data<T>() : nullptr;
  for (int64_t i = 0; i < p.weight.numel(); ++i) {
    const T g = grad[i] * factor + n.decay * weight[i];
    square[i] = n.beta2 * square[i] + n.rest2 * g * g;
    T change = g / (std::sqrt(square[i]) + n.eps);
    if (velocity) change = velocity[i] = n.momentum * velocity[i] + change;
    weight[i] -= n.lr * change;
  }
}

void step(ExecContext&, ops::OptimizerStepArgs& args) {
  const double factor = gradient_factor(args);
  if (args.factor) *args.factor = Tensor::of<double>({1}, {factor});
  if (factor == 0) return;
  for (OptimizerParameter& p : args.parameters) {
    visit_parameter(p.weight, [&](auto zero) {
      using T = decltype(zero);
      ops::OptimizerStepNumbers<T> n(args, p);
      const double ratio = args.attributes.rule == ops::OptimizerRule::lars
                               ? lars_ratio<T>(p, args.attributes, factor)
                               : 1;
      n.decay = static_cast<T>(n.decay * ratio);
      if (args.attributes.rule == ops::OptimizerRule::sgd ||
          args.attributes.rule == ops::OptimizerRule::lars)
        sgd<T>(p, n, static_cast<T>(factor * ratio));
      else if (args.attributes.rule == ops::OptimizerRule::lamb)
        lamb<T>(p, args, n, static_cast<T>(factor));
      else if (args.attributes.rule == ops::OptimizerRule::rmsprop)
        rmsprop<T>(p, n, static_cast<T>(factor));
      else
        adam<T>(p, n, static_cast<T>(factor));
    });
    if (p.copy.defined()) p.copy.copy_from(p.weight);
  }
}

}  // namespace

void register_optimizer(ops::OptimizerKernels& kernels) {
  kernels.step.add({"reference", takes_all, step});
}

}  // namespace graft::reference
