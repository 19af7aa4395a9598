// Trust ratios: by how much LARS and LAMB scale the step of one parameter. The same sums for every
// implementation on the CPU, so that their results are equal to the bit.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "graft/kernels/ops/optimizer.h"

namespace graft::ops {

// Sums of squares are taken over pieces of so many elements, which are added up in their order.
inline constexpr int64_t kSquaresPiece = 1 << 14;

// Eight sums side by side.
class SquareSums {
 public:
  void add(double x) { sums_[count_++ % 8] += x * x; }
  double total() const {
    const double* s = sums_;
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
  }

 private:
  double sums_[8] = {};
  int count_ = 0;
};

// Of one piece: the same sums, in a form that compilers vectorise.
template <class T>
double squares_of(const T* x, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int64_t k = 0; k < 8; ++k)
      sums[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  for (; i < count; ++i) sums[i % 8] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Of all pieces: piece(at, count) gives one's sum.
template <class F>
double over_pieces(int64_t count, F&& piece) {
  double sum = 0;
  for (int64_t at = 0; at < count; at += kSquaresPiece)
    sum += piece(at, std::min(kSquaresPiece, count - at));
  return sum;
}

// Whether a parameter is adapted: what has no weight decay is not (biases and norms, by choice).
inline bool is_adapted(const OptimizerStepAttributes& a, const OptimizerParameter& p) {
  return (a.rule == OptimizerRule::lars || a.rule == OptimizerRule::lamb) &&
         a.weight_decay * p.decay != 0;
}

// LARS: trust * |w| / (|g| + decay * |w| + eps), of sums of squares; 1 where a norm is 0.
inline double lars_ratio(const OptimizerStepAttributes& a, const OptimizerParameter& p,
                         double weight_squares, double gradient_squares, double factor) {
  const double weight = std::sqrt(weight_squares),
               gradient = std::sqrt(gradient_squares) * std::abs(factor);
  if (weight == 0 || gradient == 0) return 1;
  return a.trust * weight / (gradient + a.weight_decay * p.decay * weight + a.eps);
}

// LAMB: |w| / |update|; 1 where a norm is 0.
inline double lamb_ratio(double weight_squares, double update_squares) {
  if (weight_squares == 0 || update_squares == 0) return 1;
  return std::sqrt(weight_squares) / std::sqrt(update_squares);
}

// LAMB's slots and weight, from one element on.
template <class T>
struct LambSpan {
  const T* gradient;
  T *weight, *mean, *square;
  int64_t count;

  T update(const OptimizerStepNumbers<T>& n, int64_t i) const {
    return (mean[i] / n.mean_share) / (std::sqrt(square[i]) / n.root + n.eps) + n.decay * weight[i];
  }
};

struct LambSquares {
  double weight = 0, update = 0;
};

// The first pass: the slots' new values, and the sums of squares of one piece.
template <class T>
LambSquares lamb_moments(const LambSpan<T>& s, const OptimizerStepNumbers<T>& n, T factor) {
  SquareSums weight, update;
  for (int64_t i = 0; i < s.count; ++i) {
    const T g = s.gradient[i] * factor;
    s.mean[i] = s.mean[i] + (g - s.mean[i]) * n.rest1;
    s.square[i] = n.beta2 * s.square[i] + n.rest2 * g * g;
    weight.add(static_cast<double>(s.weight[i]));
    update.add(static_cast<double>(s.update(n, i)));
  }
  return {weight.total(), update.total()};
}

// The second: weight -= lr * ratio * update.
template <class T>
void lamb_apply(const LambSpan<T>& s, const OptimizerStepNumbers<T>& n, T ratio) {
  for (int64_t i = 0; i < s.count; ++i) s.weight[i] -= n.lr * (ratio * s.update(n, i));
}

}  // namespace graft::ops
