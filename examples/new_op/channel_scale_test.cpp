// Known values, and the gradient against finite differences in double. In the tree:
// tests/layers/channel_scale_test.cpp.
#include "channel_scale.h"

#include <cmath>
#include <cstdio>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/layers/functional/functional.h"

namespace {

using graft::Tensor;
namespace F = graft::functional;

int faults = 0;
void expect(bool right, const char* what) {
  if (!right) std::printf("FAILED: %s\n", what), ++faults;
}

double loss_of(const Tensor& x, const Tensor& scale) {
  const Tensor y = F::channel_scale(x, scale);
  return F::reduce(F::mul(y, y), {}).item();
}

void gradient_matches_finite_differences(const Tensor& x, const Tensor& scale) {
  for (const Tensor* leaf : {&x, &scale}) graft::set_requires_grad(*leaf, true);
  const Tensor y = F::channel_scale(x, scale);
  graft::backward(F::reduce(F::mul(y, y), {}));
  for (Tensor leaf : {x, scale}) {
    const std::vector<double> analytic = graft::grad_of(leaf).to_doubles();
    for (size_t i = 0; i < analytic.size(); ++i) {
      constexpr double h = 1e-6;
      const double value = leaf.data<double>()[i];
      graft::NoGradGuard no_grad;
      leaf.mutable_data<double>()[i] = value + h;
      const double above = loss_of(x, scale);
      leaf.mutable_data<double>()[i] = value - h;
      const double below = loss_of(x, scale);
      leaf.mutable_data<double>()[i] = value;
      expect(std::abs((above - below) / (2 * h) - analytic[i]) < 1e-6 * (1 + std::abs(analytic[i])),
             "gradient");
    }
  }
}

}  // namespace

int main() {
  const Tensor x = Tensor::of<double>({1, 2, 1, 2}, {1, 2, 3, 4});
  const Tensor scale = Tensor::of<double>({2}, {10, -1});
  expect(F::channel_scale(x, scale).to_doubles() == std::vector<double>{10, 20, -3, -4},
         "known values");
  gradient_matches_finite_differences(x, scale);
  try {
    F::channel_scale(x, Tensor::of<double>({3}, {1, 2, 3}));
    expect(false, "a wrong shape is refused");
  } catch (const graft::Error&) {
  }
  std::printf(faults ? "%d fault(s)\n" : "channel_scale: all checks passed\n", faults);
  return faults ? 1 : 0;
}
