#include "graft/train/optimizer.h"

#include <array>
#include <cmath>
#include <unordered_map>

#include "graft/core/autograd/backward.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/optimizer_step.h"

namespace graft::train {
namespace {

class SlotOptimizer : public Optimizer {
 public:
  SlotOptimizer(std::vector<NamedTensor> parameters, OptimizerOptions options, std::vector<std::string> slots)
      : options_(std::move(options)), parameters_(std::move(parameters)), slot_names_(std::move(slots)) {
    for (const NamedTensor& parameter : parameters_) {
      GRAFT_CHECK(parameter.tensor.dtype() == DType::f32 || parameter.tensor.dtype() == DType::f64, "optimizer: ", parameter.name,
                  " is ", name_of(parameter.tensor.dtype()), "; float32 or float64 is needed");
      slots_.emplace_back();
      for (size_t i = 0; i < slot_names_.size(); ++i) slots_.back().push_back(Tensor::zeros_like(parameter.tensor));
    }
  }

  void step(double lr) override {
    ++steps_;
    if (on_device()) return step_on_device(lr);
    for (size_t i = 0; i < parameters_.size(); ++i) update(i, grad_of(parameters_[i].tensor), lr);
  }

  void backward_and_step(const Tensor& loss, double lr) override {
    if (on_device()) {  // all parameters in few launches, when the last gradient is there
      backward(loss);
      step(lr);
      for (const NamedTensor& p : parameters_) set_grad(p.tensor, Tensor());
      return;
    }
    std::unordered_map<const GradMeta*, size_t> owners;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const GradMeta* meta = grad_meta(parameters_[i].tensor);
      if (meta && !owners.emplace(meta, i).second) owners[meta] = parameters_.size();  // listed twice: two steps, at the end
    }
    ++steps_;
    backward(loss, [&](GradMeta& leaf) {
      const auto owner = owners.find(&leaf);
      if (owner == owners.end() || owner->second == parameters_.size()) return;
      update(owner->second, std::exchange(leaf.grad, Tensor()), lr);
    });
    for (size_t i = 0; i < parameters_.size(); ++i) update(i, grad_of(parameters_[i].tensor), lr);  // what this backward did not complete
    for (const NamedTensor& p : parameters_) set_grad(p.tensor, Tensor());
  }

  StateDict state() const override {
    StateDict state;
    for (size_t i = 0; i < parameters_.size(); ++i)
      for (size_t s = 0; s < slot_names_.size(); ++s) state.add(parameters_[i].name + "/" + slot_names_[s], slots_[i][s]);
    state.add("step", Tensor::of<int64_t>(Shape{}, {steps_}));
    return state;
  }

  void load_state(const StateDict& state) override {
    const size_t expected = parameters_.size() * slot_names_.size() + 1;
    GRAFT_CHECK(state.size() == expected, "the checkpoint's optimizer has ", state.size(), " entries, expected ", expected);
    for (size_t i = 0; i < parameters_.size(); ++i)
      for (size_t s = 0; s < slot_names_.size(); ++s) slots_[i][s].copy_from(state.at(parameters_[i].name + "/" + slot_names_[s]));
    steps_ = static_cast<int64_t>(state.at("step").item());
  }

 protected:
  virtual void run(Tensor& weight, const Tensor& grad, std::vector<Tensor>& slots, double lr) = 0;

  // The same update for a device's kernels: what stays, and what this step has.
  virtual ops::OptimizerStepAttributes step_attributes() const = 0;
  virtual std::array<double, ops::kOptimizerNumbers> step_numbers(double lr) const = 0;

  OptimizerOptions options_;
  int64_t steps_ = 0;

 private:
  bool on_device() const { return !parameters_.empty() && !is_cpu(parameters_[0].tensor.device()); }

  void step_on_device(double lr) {
    std::vector<ops::OptimizerParameter> list;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Tensor& weight = parameters_[i].tensor;
      const Tensor grad = grad_of(weight);
      if (!grad.defined()) continue;
      const auto slot = [&](size_t s) { return s < slots_[i].size() ? slots_[i][s] : Tensor(); };
      list.push_back({weight, grad.to(weight.format()), slot(0), slot(1), {}});
    }
    const std::array<double, ops::kOptimizerNumbers> exact = step_numbers(lr);
    if (!numbers_.defined()) numbers_ = Tensor::empty({ops::kOptimizerNumbers}, {.device = parameters_[0].tensor.device()});
    numbers_.copy_from(Tensor::of({ops::kOptimizerNumbers}, std::vector<float>(exact.begin(), exact.end())));
    functional::optimizer_step(list, numbers_, step_attributes());
  }

  void update(size_t i, const Tensor& grad, double lr) {
    if (!grad.defined()) return;
    Tensor weight = parameters_[i].tensor;
    GRAFT_CHECK(grad.shape() == weight.shape() && grad.dtype() == weight.dtype(), "optimizer: gradient ", grad.shape(), " for ",
                parameters_[i].name, " ", weight.shape());
    run(weight, grad.to(weight.format()), slots_[i], lr);
  }

  std::vector<NamedTensor> parameters_;
  std::vector<std::string> slot_names_;
  std::vector<std::vector<Tensor>> slots_;  // [parameter][slot]
  Tensor numbers_;                          // on a device: what changes from step to step
};

// The first velocity is the gradient, as zeros give it.
class Sgd final : public SlotOptimizer {
 public:
  Sgd(std::vector<NamedTensor> parameters, const OptimizerOptions& options)
      : SlotOptimizer(std::move(parameters), options,
                      options.momentum != 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{}) {}

 private:
  void run(Tensor& weight, const Tensor& grad, std::vector<Tensor>& slots, double lr) override {
    const ops::SgdAttributes attributes{lr, options_.momentum, options_.weight_decay, options_.nesterov};
    kernels_for(weight).optimizer.sgd(current_context(), {grad, attributes, weight, slots.empty() ? nullptr : &slots[0]});
  }
  ops::OptimizerStepAttributes step_attributes() const override {
    return {.rule = ops::OptimizerRule::sgd, .momentum = static_cast<float>(options_.momentum), .nesterov = options_.nesterov,
            .weight_decay = static_cast<float>(options_.weight_decay)};
  }
  std::array<double, ops::kOptimizerNumbers> step_numbers(double lr) const override { return {lr, 1, 1, 1}; }
};

class Adam final : public SlotOptimizer {
 public:
  Adam(std::vector<NamedTensor> parameters, const OptimizerOptions& options, bool decoupled)
      : SlotOptimizer(std::move(parameters), options, {"mean", "square"}), decoupled_(decoupled) {}

 private:
  void run(Tensor& weight, const Tensor& grad, std::vector<Tensor>& slots, double lr) override {
    const ops::AdamAttributes attributes{lr, options_.beta1, options_.beta2, options_.eps, options_.weight_decay, decoupled_, steps_};
    kernels_for(weight).optimizer.adam(current_context(), {grad, attributes, weight, slots[0], slots[1]});
  }
  ops::OptimizerStepAttributes step_attributes() const override {
    return {.rule = decoupled_ ? ops::OptimizerRule::adamw : ops::OptimizerRule::adam,
            .weight_decay = static_cast<float>(decoupled_ ? 0 : options_.weight_decay), .rest1 = static_cast<float>(1 - options_.beta1),
            .beta2 = static_cast<float>(options_.beta2), .rest2 = static_cast<float>(1 - options_.beta2), .eps = static_cast<float>(options_.eps)};
  }
  std::array<double, ops::kOptimizerNumbers> step_numbers(double lr) const override {
    const double t = static_cast<double>(steps_);
    return {lr / (1 - std::pow(options_.beta1, t)), std::sqrt(1 - std::pow(options_.beta2, t)), decoupled_ ? 1 - lr * options_.weight_decay : 1, 1};
  }

  bool decoupled_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(std::vector<NamedTensor> parameters, const OptimizerOptions& o) {
  GRAFT_CHECK(o.momentum >= 0 && o.momentum < 1 && o.weight_decay >= 0, "optimizer: momentum ", o.momentum, ", weight decay ", o.weight_decay);
  GRAFT_CHECK(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1 && o.eps >= 0, "optimizer: betas ", o.beta1, " and ", o.beta2,
              ", eps ", o.eps);
  if (o.name == "sgd") return std::make_unique<Sgd>(std::move(parameters), o);
  if (o.name == "adam") return std::make_unique<Adam>(std::move(parameters), o, false);
  if (o.name == "adamw") return std::make_unique<Adam>(std::move(parameters), o, true);
  bad_input("unknown optimizer '", o.name, "': expected sgd, adam or adamw");
}

}  // namespace graft::train
