// One parameter's step of an optimizer: gradient, slots and weight in one pass. Formulas: torch.optim's documentation.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

// All tensors of a call share shape, memory order and dtype (f32 or f64). Weight and slots are overwritten.

// g = grad + decay * weight; v = momentum * v + g; weight -= lr * v (Nesterov: g + momentum * v; without v: g).
struct SgdAttributes {
  double lr = 0, momentum = 0, weight_decay = 0;
  bool nesterov = false;
};
struct SgdArgs {
  const Tensor& grad;
  const SgdAttributes& attributes;
  Tensor& weight;
  Tensor* velocity;  // null: no momentum
};

// Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter 2019.
// weight -= lr / (1 - beta1^t) * mean / (sqrt(square) / sqrt(1 - beta2^t) + eps).
struct AdamAttributes {
  double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;
  int64_t step = 1;  // t: from 1 on
};
struct AdamArgs {
  const Tensor& grad;
  const AdamAttributes& attributes;
  Tensor& weight;
  Tensor& mean;
  Tensor& square;
};

// The numbers of a step in the tensors' type, the same for every implementation: their results are equal to the bit.
template <class T>
struct SgdNumbers {
  T lr, momentum, decay;
  bool nesterov;
  explicit SgdNumbers(const SgdAttributes& a)
      : lr(static_cast<T>(a.lr)), momentum(static_cast<T>(a.momentum)), decay(static_cast<T>(a.weight_decay)), nesterov(a.nesterov) {}
};
template <class T>
struct AdamNumbers {
  T step, root, beta2, eps;
  T rest1, rest2;  // 1 - beta: taken in double, for 1 - 0.999f is 1.3e-5 off
  T added, kept;   // decay: added to the gradient, or what the weight keeps
  explicit AdamNumbers(const AdamAttributes& a);
};
extern template struct AdamNumbers<float>;
extern template struct AdamNumbers<double>;

struct OptimizerKernels {
  KernelList<SgdArgs> sgd{"sgd"};
  KernelList<AdamArgs> adam{"adam"};
};

}  // namespace graft::ops
