// SGD, Adam, AdamW and RMSprop with PyTorch's formulas (torch.optim's documentation), LARS and LAMB
// with timm's (timm.optim.Lars and Lamb without its own clipping), one pass over each tensor.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/layers/modules/module.h"

namespace graft::train {

struct OptimizerOptions {
  std::string name = "sgd";  // optimizer_names()
  double momentum = 0.9;     // sgd, lars, rmsprop
  bool nesterov = false;     // sgd, lars
  double weight_decay = 0;   // added to the gradient; adamw: decoupled; lamb: added to the update
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // adam, adamw, lamb; rmsprop: beta2 and eps
  double clip_norm = 0;   // > 0: the norm of all gradients together is scaled down to at most this
  double loss_scale = 1;  // loss_scale.h: 1 not scaled, another number fixed, 0 dynamic
};

// lars and lamb scale the step of each parameter that has weight decay by a trust ratio, its norm
// over that of its step (kernels/ops/trust_ratio.h): they are for the CPU, and without any weight
// decay bad_input, as nothing would be scaled.
GRAFT_API std::vector<std::string> optimizer_names();

// What one parameter's learning rate and weight decay are multiplied by.
struct ParameterScale {
  double rate = 1, decay = 1;
};

// A parameter that is drawn towards where it began: strength * (value - towards) is added to its
// gradient, before clipping. Undefined: it is not.
struct ParameterPull {
  Tensor towards{};
  double strength = 0;
};

// Slots have their parameter's dtype. Parameters without a gradient are left alone in a step. One
// thread at a time trains a network, by one optimizer: a step by two threads at once is an Error.
// So is a step after a parameter was taken from its network (replace_head, Module::to): make the
// optimizer afterwards.
class GRAFT_API Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual void step(double lr) = 0;
  // backward(loss), step(lr) and clearing the gradients in one: each parameter takes its step as
  // soon as its gradient is complete, while that is in the cache, so that the gradients of a whole
  // network never exist at once. The same bits. To clip or inspect
  // gradients, or to step once for several batches, call backward, step and zero_grad instead.
  virtual void backward_and_step(const Tensor& loss, double lr) = 0;
  // With clip_norm: they do exist at once.
  virtual bool needs_all_gradients() const = 0;
  // backward_and_step() in two. First what differs from step to step: counts it and puts its
  // numbers where the parameters are. Then work that a device can record and repeat with other
  // numbers.
  virtual void begin_step(double lr) = 0;
  virtual void backward_and_apply(const Tensor& loss) = 0;
  // What the loss is to be multiplied by before backward; a step divides the gradients by it.
  // backward_and_step() does both.
  virtual double loss_scale() const = 0;
  // With a loss scale, once after each step: whether it was taken, or left out because a gradient
  // was not finite. Adapts the scale; waits for a device. True without one.
  virtual bool settle() = 0;
  // Slots as "<parameter>/<slot>", "step" (i64 scalar) and, with a loss scale, "loss_scale" (f64:
  // it, and the steps taken with it): what a checkpoint keeps.
  virtual StateDict state() const = 0;
  // bad_input when the slots do not fit the parameters.
  virtual void load_state(const StateDict& state) = 0;
};

// scales, pulls: of the parameters, in their order; empty: 1, none. Pulls are not for a loss scale.
GRAFT_API std::unique_ptr<Optimizer> make_optimizer(std::vector<NamedTensor> parameters,
                                                    const OptimizerOptions& options,
                                                    std::vector<ParameterScale> scales = {},
                                                    std::vector<ParameterPull> pulls = {});

}  // namespace graft::train
