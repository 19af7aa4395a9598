#include "graft/train/sharpness.h"

#include <cmath>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/trust_ratio.h"

namespace graft::train {
namespace {

constexpr double kLeastNorm = 1e-12;

template <class F>
void visit_weights(const Tensor& tensor, F&& f) {
  if (tensor.dtype() == DType::f64)
    f(double{});
  else
    f(float{});
}

// In pieces, which are added up in their order: no number of threads changes it.
double squares_of_gradient(const Tensor& gradient) {
  double squares = 0;
  visit_weights(gradient, [&](auto zero) {
    const auto* g = gradient.data<decltype(zero)>();
    const int64_t count = gradient.numel();
    std::vector<double> sums(static_cast<size_t>(ceil_div(count, ops::kSquaresPiece)));
    current_context().parallel_for(std::ssize(sums), [&](int64_t i) {
      const int64_t at = i * ops::kSquaresPiece;
      sums[static_cast<size_t>(i)] =
          ops::squares_of(g + at, std::min(ops::kSquaresPiece, count - at));
    });
    for (const double sum : sums) squares += sum;
  });
  return squares;
}

void move_along(Tensor weight, const Tensor& gradient, double factor) {
  visit_weights(weight, [&](auto zero) {
    using T = decltype(zero);
    const T* g = gradient.data<T>();
    T* w = weight.mutable_data<T>();
    const int64_t count = weight.numel();
    const T by = static_cast<T>(factor);
    current_context().parallel_for(ceil_div(count, ops::kSquaresPiece), [&](int64_t i) {
      const int64_t at = i * ops::kSquaresPiece, end = std::min(count, at + ops::kSquaresPiece);
      for (int64_t k = at; k < end; ++k) w[k] += by * g[k];
    });
  });
}

}  // namespace

Sharpness::Sharpness(std::vector<NamedTensor> parameters, double rho)
    : parameters_(std::move(parameters)), rho_(rho), before_(parameters_.size()) {
  GRAFT_CHECK(rho > 0 && std::isfinite(rho), "sam: ", rho, " is not a distance above 0");
  for (const NamedTensor& p : parameters_)
    GRAFT_CHECK(is_cpu(p.tensor.device()), "sam is for training on the CPU: ", p.name,
                " lies on a device");
}

double Sharpness::climb() {
  double squares = 0;
  for (const NamedTensor& p : parameters_)
    if (const Tensor gradient = grad_of(p.tensor); gradient.defined())
      squares += squares_of_gradient(gradient);
  const double norm = std::sqrt(squares), factor = rho_ / (norm + kLeastNorm);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& weight = parameters_[i].tensor;
    const Tensor gradient = grad_of(weight);
    if (!gradient.defined()) continue;
    set_grad(weight, Tensor());
    if (!std::isfinite(norm)) continue;
    before_[i] = weight.detach().clone();
    move_along(weight, gradient.to(weight.format()), factor);
  }
  return norm;
}

void Sharpness::descend() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!before_[i].defined()) continue;
    Tensor(parameters_[i].tensor).copy_from(before_[i]);
    before_[i] = Tensor();
  }
}

}  // namespace graft::train
