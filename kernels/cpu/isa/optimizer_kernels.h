// The engine's optimizer steps over plain elements, plain enough for the compiler to vectorise:
// every instruction set computes the same bits. Included by the instruction sets' units only;
// everything has internal linkage.
#pragma once
#include "graft/kernels/cpu/isa/tables.h"

namespace graft::cpu {
namespace {

inline float root_of(float v) { return __builtin_sqrtf(v); }
inline double root_of(double v) { return __builtin_sqrt(v); }

template <class T, bool Nesterov>
void momentum_elements(const SgdStepArgs<T>& a, const T* __restrict grad, T* __restrict weight,
                       T* __restrict velocity) {
  const T scale = a.scale, lr = a.lr, momentum = a.momentum, decay = a.decay;
  for (int64_t i = 0; i < a.count; ++i) {
    const T g = grad[i] * scale + decay * weight[i];
    const T v = momentum * velocity[i] + g;
    velocity[i] = v;
    weight[i] -= lr * (Nesterov ? g + momentum * v : v);
  }
}

template <class T>
void sgd_step(const SgdStepArgs<T>& a) {
  if (a.velocity) {
    a.nesterov ? momentum_elements<T, true>(a, a.grad, a.weight, a.velocity)
               : momentum_elements<T, false>(a, a.grad, a.weight, a.velocity);
    return;
  }
  const T* __restrict grad = a.grad;
  T* __restrict weight = a.weight;
  const T scale = a.scale, lr = a.lr, decay = a.decay;
  for (int64_t i = 0; i < a.count; ++i) weight[i] -= lr * (grad[i] * scale + decay * weight[i]);
}

template <class T>
void adam_step(const AdamStepArgs<T>& a) {
  const T* __restrict grad = a.grad;
  T* __restrict weight = a.weight;
  T* __restrict mean = a.mean;
  T* __restrict square = a.square;
  const T scale = a.scale, step = a.step, root = a.root, beta2 = a.beta2, eps = a.eps,
          rest1 = a.rest1, rest2 = a.rest2, added = a.added, kept = a.kept;
  for (int64_t i = 0; i < a.count; ++i) {
    const T w = weight[i] * kept, g = grad[i] * scale + added * weight[i];
    const T m = mean[i] + (g - mean[i]) * rest1;
    const T v = beta2 * square[i] + rest2 * g * g;
    mean[i] = m;
    square[i] = v;
    weight[i] = w - step * (m / (root_of(v) / root + eps));
  }
}

template <class T, bool Moves>
void rmsprop_elements(const RmspropStepArgs<T>& a, T* __restrict velocity) {
  const T* __restrict grad = a.grad;
  T* __restrict weight = a.weight;
  T* __restrict square = a.square;
  const T scale = a.scale, lr = a.lr, beta2 = a.beta2, eps = a.eps, rest2 = a.rest2,
          momentum = a.momentum, decay = a.decay;
  for (int64_t i = 0; i < a.count; ++i) {
    const T g = grad[i] * scale + decay * weight[i];
    const T s = beta2 * square[i] + rest2 * g * g;
    square[i] = s;
    T change = g / (root_of(s) + eps);
    if (Moves) {
      change = momentum * velocity[i] + change;
      velocity[i] = change;
    }
    weight[i] -= lr * change;
  }
}

template <class T>
void rmsprop_step(const RmspropStepArgs<T>& a) {
  a.velocity ? rmsprop_elements<T, true>(a, a.velocity) : rmsprop_elements<T, false>(a, nullptr);
}

template <class T>
constexpr OptimizerStepKernels<T> optimizer_kernels() {
  return {sgd_step<T>, adam_step<T>, rmsprop_step<T>};
}

}  // namespace
}  // namespace graft::cpu
