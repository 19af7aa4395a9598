// One step of an optimizer over all parameters of a network in a few kernels, for devices whose launches cost more than the
// arithmetic. The formulas are train/optimizer.cpp's; there the CPU does them tensor by tensor.
#pragma once
#include <span>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

enum class OptimizerRule : unsigned char { sgd, adam, adamw };

// What never changes from step to step.
struct OptimizerStepAttributes {
  OptimizerRule rule = OptimizerRule::sgd;
  float momentum = 0.9f;
  bool nesterov = false;
  float weight_decay = 0;  // sgd, adam: added to the gradient; adamw: in the numbers
  float rest1 = 0.1f, beta2 = 0.999f, rest2 = 0.001f, eps = 1e-8f;  // adam: rest = 1 - beta
  float max_norm = 0;  // > 0: gradients are scaled down so that the norm of all of them is at most this
  // A gradient with an infinity or NaN anywhere leaves parameters and slots as they are.
  bool skip_if_not_finite = false;
};

// What changes stands on the device, f32 [kOptimizerNumbers], so that a captured step can run again with other numbers.
enum OptimizerNumber : int {
  learning_rate,   // adam: lr / (1 - beta1^t)
  root,            // adam: sqrt(1 - beta2^t)
  kept,            // adamw: 1 - lr * weight decay, else 1
  gradient_scale,  // 1, or 1 / loss scale
  kOptimizerNumbers
};

// Weight, gradient and slots (0 to 2, by the rule) of one parameter, all f32 of one format; `copy` may be undefined, or a
// 16-bit tensor that gets the new weight.
struct OptimizerParameter {
  Tensor weight, gradient, first, second, copy;
};

struct OptimizerStepArgs {
  std::span<OptimizerParameter> parameters;
  const Tensor& numbers;
  const OptimizerStepAttributes& attributes;
};

// The kernels of a device other than the CPU. bad_input when there are none.
GRAFT_API const KernelList<OptimizerStepArgs>& optimizer_kernels_for(Device device);

}  // namespace graft::ops
