// An optimizer's step over any number of parameters: gradient, slots and weight in one pass.
// Formulas: torch.optim's documentation. The CPU is given one parameter at a time, as its gradient
// comes; devices whose launches cost more than the arithmetic get all.
#pragma once
#include <span>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

// sgd: g = grad + decay * weight; v = momentum * v + g; weight -= lr * v (Nesterov: g + momentum *
// v; without v: g). adam (Kingma & Ba 2015), adamw (decoupled decay: Loshchilov & Hutter 2019):
// weight -= lr / (1 - beta1^t) * mean / (sqrt(square) / sqrt(1 - beta2^t) + eps). rmsprop (Tieleman
// & Hinton 2012): square = beta2 * square + (1 - beta2) * g^2, c = g / (sqrt(square) + eps); v =
// momentum * v + c; weight -= lr * v (without v: c). lars (You et al. 2017), lamb (You et al.
// 2020), both as timm: trust_ratio.h; lars: sgd of g times its ratio; lamb: weight -= lr * ratio *
// (mean / (1 - beta1^t) / (sqrt(square) / sqrt(1 - beta2^t) + eps) + decay * weight), of moments of
// grad.
enum class OptimizerRule : unsigned char { sgd, adam, adamw, rmsprop, lars, lamb };

// What never changes from step to step.
struct OptimizerStepAttributes {
  OptimizerRule rule = OptimizerRule::sgd;
  double momentum = 0.9;  // sgd, lars and rmsprop with a slot
  bool nesterov = false;
  double weight_decay = 0;  // added to the gradient; adamw: in the numbers
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double trust = 1e-3;  // lars: its coefficient
  double max_norm =
      0;  // > 0: gradients are scaled down so that the norm of all of them is at most this
  // A gradient with an infinity or NaN anywhere leaves parameters and slots as they are.
  bool skip_if_not_finite = false;
};

// What changes stands where the parameters are, f64 on the CPU and f32 elsewhere,
// [kOptimizerNumbers]: a captured step can run again with other numbers.
enum OptimizerNumber : int {
  learning_rate,   // adam: lr / (1 - beta1^t)
  root,            // adam, lamb: sqrt(1 - beta2^t)
  kept,            // adamw: 1 - lr * weight decay, else 1
  gradient_scale,  // 1, or 1 / loss scale
  mean_share,      // lamb: 1 - beta1^t
  kOptimizerNumbers
};

// Weight, gradient and slots (0 to 2, by the rule: velocity; mean and square; square and velocity)
// of one parameter, of one shape, dtype (f32, on the CPU f64 too) and format. `copy` may be
// undefined, or a 16-bit tensor that gets the new weight.
struct OptimizerParameter {
  Tensor weight, gradient, first, second, copy;
  double rate = 1, decay = 1;  // what the learning rate and the weight decay are multiplied by here
};

struct OptimizerStepArgs {
  std::span<OptimizerParameter> parameters;
  const Tensor& numbers;
  const OptimizerStepAttributes& attributes;
  // Null, or becomes what all gradients were multiplied by, [1], where the numbers are: 0 when the
  // step was left out. A device writes into it where it is defined.
  Tensor* factor = nullptr;
  bool dtypes_fit() const {
    for (const OptimizerParameter& p : parameters)
      if (!are_of(p.weight.dtype(), p.gradient, p.first, p.second)) return false;
    return true;
  }
};

// What adamw's decay leaves of a weight whose rate and decay are multiplied by `factor` together.
inline double kept_by(double kept, double factor) {
  return factor == 1 ? kept : 1 - (1 - kept) * factor;
}

// Attributes and numbers in the tensors' type, for one parameter, the same for every implementation
// on the CPU: their results are equal to the bit.
template <class T>
struct OptimizerStepNumbers {
  T lr, momentum, beta2, eps, root, kept, mean_share;
  T rest1, rest2;  // 1 - beta: taken in double, for 1 - 0.999f is 1.3e-5 off
  T decay;         // added to the gradient
  bool nesterov;
  OptimizerStepNumbers(const OptimizerStepArgs& args, const OptimizerParameter& p) {
    const OptimizerStepAttributes& a = args.attributes;
    const double* numbers = args.numbers.data<double>();
    lr = static_cast<T>(numbers[learning_rate] * p.rate);
    root = static_cast<T>(numbers[ops::root]);
    mean_share = static_cast<T>(numbers[ops::mean_share]);
    kept = static_cast<T>(kept_by(numbers[ops::kept], p.rate * p.decay));
    momentum = static_cast<T>(a.momentum), beta2 = static_cast<T>(a.beta2),
    eps = static_cast<T>(a.eps);
    rest1 = static_cast<T>(1 - a.beta1), rest2 = static_cast<T>(1 - a.beta2);
    decay = static_cast<T>(a.rule == OptimizerRule::adamw ? 0 : a.weight_decay * p.decay);
    nesterov = a.nesterov;
  }
};

struct OptimizerKernels {
  KernelList<OptimizerStepArgs> step{"optimizer step"};
};

}  // namespace graft::ops
