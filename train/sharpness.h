// Sharpness: SAM's climb. A step is taken with the gradient at the worst place nearby: at the
// weights plus rho times the gradient over its norm. (Foret et al., "Sharpness-Aware Minimization
// for Efficiently Improving Generalization", ICLR 2021; rho 0.05 there.)
#pragma once
#include <vector>

#include "graft/layers/modules/module.h"

namespace graft::train {

// Of parameters on the CPU. For one step: climb() with the gradients at the weights, then the
// gradients there are computed anew, then descend() and an optimizer's step.
class GRAFT_API Sharpness {
 public:
  // bad_input for a rho that is not above 0, or a parameter on a device.
  Sharpness(std::vector<NamedTensor> parameters, double rho);

  // Adds rho * g / (|g| + 1e-12) to every parameter that has a gradient, |g| the norm of all of
  // them together, and takes the gradients away. Returns |g|. Where that is not finite nothing is
  // moved.
  double climb();
  // The weights are again what they were, to the bit.
  void descend();

 private:
  std::vector<NamedTensor> parameters_;
  double rho_;
  std::vector<Tensor> before_;  // the weights' values, while climbed; undefined: not moved
};

}  // namespace graft::train
