#include "graft/train/optimizer.h"

#include <array>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/one_at_a_time.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/core/tensor/rounded_copy.h"
#include "graft/kernels/ops/optimizer.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/train/loss_scale.h"

namespace graft::train {
namespace {

constexpr std::array<std::pair<const char*, ops::OptimizerRule>, 6> kOptimizerRules = {
    {{"sgd", ops::OptimizerRule::sgd},
     {"adam", ops::OptimizerRule::adam},
     {"adamw", ops::OptimizerRule::adamw},
     {"rmsprop", ops::OptimizerRule::rmsprop},
     {"lars", ops::OptimizerRule::lars},
     {"lamb", ops::OptimizerRule::lamb}}};

ops::OptimizerRule rule_of(const std::string& name) {
  for (const auto& [known, rule] : kOptimizerRules)
    if (name == known) return rule;
  bad_input("unknown optimizer '", name, "': expected one of ", join(optimizer_names()));
}

bool is_sgd_like(ops::OptimizerRule rule) {
  return rule == ops::OptimizerRule::sgd || rule == ops::OptimizerRule::lars;
}

// The first velocity is the gradient, as zeros give it.
std::vector<std::string> slots_of(ops::OptimizerRule rule, double momentum) {
  if (rule == ops::OptimizerRule::rmsprop)
    return momentum != 0 ? std::vector<std::string>{"square", "momentum"}
                         : std::vector<std::string>{"square"};
  if (!is_sgd_like(rule)) return {"mean", "square"};
  return momentum != 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{};
}

class SlotOptimizer final : public Optimizer {
 public:
  SlotOptimizer(std::vector<NamedTensor> parameters, const OptimizerOptions& o,
                std::vector<ParameterScale> scales, std::vector<ParameterPull> pulls)
      : attributes_{.rule = rule_of(o.name),
                    .momentum = o.momentum,
                    .nesterov = o.nesterov,
                    .weight_decay = o.weight_decay,
                    .beta1 = o.beta1,
                    .beta2 = o.beta2,
                    .eps = o.eps,
                    .max_norm = o.clip_norm,
                    .skip_if_not_finite = o.loss_scale != 1},
        parameters_(std::move(parameters)),
        scales_(std::move(scales)),
        pulls_(std::move(pulls)),
        slot_names_(slots_of(attributes_.rule, o.momentum)) {
    if (o.loss_scale != 1) scale_.emplace(o.loss_scale);
    for (const NamedTensor& parameter : parameters_) {
      GRAFT_CHECK(parameter.tensor.dtype() == DType::f32 || parameter.tensor.dtype() == DType::f64,
                  "optimizer: ", parameter.name, " is ", name_of(parameter.tensor.dtype()),
                  "; float32 or float64 is needed");
      slots_.emplace_back();
      for (size_t i = 0; i < slot_names_.size(); ++i)
        slots_.back().push_back(Tensor::zeros_like(parameter.tensor));
    }
  }

  void step(double lr) override {
    begin_step(lr);
    const OneAtATime::Use use(use_, "an optimizer's step");
    step_where_there_are_gradients();
  }

  // A device takes all parameters in few launches, when the last gradient is there.
  void backward_and_step(const Tensor& loss, double lr) override {
    begin_step(lr);
    backward_and_apply(loss);
  }

  // Counts the step and puts its numbers where the parameters are.
  void begin_step(double lr) override {
    const OneAtATime::Use use(use_, "an optimizer's step");
    GRAFT_CHECK(std::isfinite(lr) && lr >= 0, "optimizer: a learning rate of ", lr);
    check_parameters_are_used();
    ++steps_;
    std::vector<double> numbers(ops::kOptimizerNumbers, 1.0);
    numbers[ops::learning_rate] = lr;
    if (attributes_.rule == ops::OptimizerRule::adam ||
        attributes_.rule == ops::OptimizerRule::adamw) {
      const double t = static_cast<double>(steps_);
      numbers[ops::learning_rate] = lr / (1 - std::pow(attributes_.beta1, t));
      numbers[ops::root] = std::sqrt(1 - std::pow(attributes_.beta2, t));
    }
    if (attributes_.rule == ops::OptimizerRule::lamb) {
      const double t = static_cast<double>(steps_);
      numbers[ops::mean_share] = 1 - std::pow(attributes_.beta1, t);
      numbers[ops::root] = std::sqrt(1 - std::pow(attributes_.beta2, t));
    }
    numbers[ops::gradient_scale] = 1 / loss_scale();
    if (attributes_.rule == ops::OptimizerRule::adamw)
      numbers[ops::kept] = 1 - lr * attributes_.weight_decay;
    if (!numbers_.defined())
      numbers_ =
          Tensor::empty({ops::kOptimizerNumbers},
                        {.dtype = is_cpu(device()) ? DType::f64 : DType::f32, .device = device()});
    numbers_.copy_from(Tensor::of({ops::kOptimizerNumbers}, numbers));
    if (scale_) put_scale();
  }

  void backward_and_apply(const Tensor& loss) override {
    const OneAtATime::Use use(use_, "an optimizer's step");
    if (scale_) {
      backward(loss, seed_.reshape(loss.shape()).to(loss.dtype()));
      step_where_there_are_gradients();
      for (const NamedTensor& p : parameters_) set_grad(p.tensor, Tensor());
      return;
    }
    if (needs_all_gradients()) {
      backward(loss);
      step_where_there_are_gradients();
      for (const NamedTensor& p : parameters_) set_grad(p.tensor, Tensor());
      return;
    }
    std::unordered_map<const GradMeta*, size_t> owners;
    if (is_cpu(device()))
      for (size_t i = 0; i < parameters_.size(); ++i) {
        const GradMeta* meta = grad_meta(parameters_[i].tensor);
        if (meta && !owners.emplace(meta, i).second)
          owners[meta] = parameters_.size();  // listed twice: two steps, at the end
      }
    BackwardPass pass(loss);
    while (GradMeta* leaf = pass.next_leaf()) {
      const auto owner = owners.find(leaf);
      if (owner == owners.end() || owner->second == parameters_.size()) continue;
      ops::OptimizerParameter one = parameter(owner->second, std::exchange(leaf->grad, Tensor()));
      run({&one, 1});
    }
    step_where_there_are_gradients();  // what this backward did not complete
    for (const NamedTensor& p : parameters_) set_grad(p.tensor, Tensor());
  }

  bool needs_all_gradients() const override { return attributes_.max_norm > 0; }

  double loss_scale() const override { return scale_ ? scale_->value() : 1; }

  bool settle() override {
    if (!std::exchange(is_unsettled_, false)) return true;
    const bool was_taken = factor_.item() != 0;
    if (!was_taken) --steps_;  // as if it had not been
    scale_->update(was_taken);
    return was_taken;
  }

  StateDict state() const override {
    StateDict state;
    for (size_t i = 0; i < parameters_.size(); ++i)
      for (size_t s = 0; s < slot_names_.size(); ++s)
        state.add(parameters_[i].name + "/" + slot_names_[s], slots_[i][s]);
    state.add("step", Tensor::of<int64_t>(Shape{}, {steps_}));
    if (scale_)
      state.add(
          "loss_scale",
          Tensor::of<double>({2}, {scale_->value(), static_cast<double>(scale_->steps_taken())}));
    return state;
  }

  void load_state(const StateDict& state) override {
    const size_t expected = parameters_.size() * slot_names_.size() + (scale_ ? 2 : 1);
    GRAFT_CHECK(state.size() == expected, "the checkpoint's optimizer has ", state.size(),
                " entries, expected ", expected);
    for (size_t i = 0; i < parameters_.size(); ++i)
      for (size_t s = 0; s < slot_names_.size(); ++s)
        slots_[i][s].copy_from(state.at(parameters_[i].name + "/" + slot_names_[s]));
    const double steps = state.at("step").item();
    GRAFT_CHECK(steps >= 0 && steps <= 1e15, "the checkpoint's optimizer has taken ", steps,
                " steps");
    steps_ = static_cast<int64_t>(steps);
    if (!scale_) return;
    const std::vector<double> scale = state.at("loss_scale").to_doubles();
    GRAFT_CHECK(scale.size() == 2 && scale[0] >= 1 && scale[0] <= LossScale::kMost &&
                    scale[1] >= 0 && scale[1] < LossScale::kGrowthInterval,
                "the checkpoint's loss scale is damaged");
    scale_->restore(scale[0], static_cast<int64_t>(scale[1]));
  }

 private:
  // A parameter that only this optimizer still holds is no network's any more.
  void check_parameters_are_used() const {
    for (const NamedTensor& p : parameters_)
      GRAFT_CHECK(
          !p.tensor.is_last_handle(), "optimizer: its parameter '", p.name,
          "' belongs to no network any more, so that training it would change nothing: make "
          "the optimizer after replace_head() and to()");
  }

  Device device() const { return parameters_.empty() ? Device{} : parameters_[0].tensor.device(); }

  void put_scale() {
    is_unsettled_ = true;
    const TensorOptions options{.dtype = numbers_.dtype(), .device = device()};
    if (!seed_.defined()) seed_ = Tensor::empty({1}, options);
    if (!factor_.defined()) factor_ = Tensor::full({1}, 1, options);
    if (std::exchange(seed_value_, scale_->value()) != scale_->value())
      seed_.copy_from(Tensor::full({1}, scale_->value(), {.dtype = numbers_.dtype()}));
  }

  ops::OptimizerParameter parameter(size_t i, const Tensor& grad) const {
    const Tensor& weight = parameters_[i].tensor;
    GRAFT_CHECK(grad.shape() == weight.shape() && grad.dtype() == weight.dtype(),
                "optimizer: gradient ", grad.shape(), " for ", parameters_[i].name, " ",
                weight.shape());
    const auto slot = [&](size_t s) { return s < slots_[i].size() ? slots_[i][s] : Tensor(); };
    const ParameterScale scale = scales_.empty() ? ParameterScale{} : scales_[i];
    return {weight,
            with_pull(i, grad.to(weight.format())),
            slot(0),
            slot(1),
            is_cpu(weight.device()) ? Tensor() : current_copy(weight),
            scale.rate,
            scale.decay};
  }

  Tensor with_pull(size_t i, const Tensor& grad) const {
    if (pulls_.empty() || !pulls_[i].towards.defined()) return grad;
    const NoGradGuard no_grad;
    const Tensor& weight = parameters_[i].tensor;
    const Tensor off = functional::sub(weight.detach(), pulls_[i].towards.to(weight.format()));
    return functional::add(grad,
                           functional::mul(off, Tensor::scalar(pulls_[i].strength, weight.dtype())))
        .to(weight.format());
  }

  void step_where_there_are_gradients() {
    std::vector<ops::OptimizerParameter> list;
    for (size_t i = 0; i < parameters_.size(); ++i)
      if (const Tensor grad = grad_of(parameters_[i].tensor); grad.defined())
        list.push_back(parameter(i, grad));
    if (!list.empty()) run(list);
  }

  void run(std::span<ops::OptimizerParameter> list) {
    kernels_for<ops::OptimizerKernels>(device()).step(
        current_context(), {list, numbers_, attributes_, scale_ ? &factor_ : nullptr});
    for (const ops::OptimizerParameter& p : list)
      if (p.copy.defined()) copy_was_written(p.weight);
  }

  OneAtATime use_;
  ops::OptimizerStepAttributes attributes_;
  int64_t steps_ = 0;
  std::vector<NamedTensor> parameters_;
  std::vector<ParameterScale> scales_;  // empty: 1
  std::vector<ParameterPull> pulls_;    // empty: none
  std::vector<std::string> slot_names_;
  std::vector<std::vector<Tensor>> slots_;  // [parameter][slot]
  std::optional<LossScale> scale_;
  Tensor factor_;              // of the last step; on a device always at one place
  bool is_unsettled_ = false;  // a step whose factor was not looked at yet
  Tensor seed_;                // [1], where the parameters are: the loss scale, seed_value_
  double seed_value_ = 0;
  Tensor numbers_;  // what changes from step to step, where the parameters are
};

void check_pulls(const std::vector<NamedTensor>& parameters, const OptimizerOptions& o,
                 const std::vector<ParameterPull>& pulls) {
  if (pulls.empty()) return;
  GRAFT_CHECK(pulls.size() == parameters.size(), "optimizer: ", pulls.size(), " pulls for ",
              parameters.size(), " parameters");
  GRAFT_CHECK(o.loss_scale == 1,
              "optimizer: parameters are not drawn towards their beginning "
              "with a loss scale");
  for (size_t i = 0; i < pulls.size(); ++i) {
    const Tensor &to = pulls[i].towards, &from = parameters[i].tensor;
    if (!to.defined()) continue;
    GRAFT_CHECK(
        to.shape() == from.shape() && to.dtype() == from.dtype() && to.device() == from.device(),
        "optimizer: ", parameters[i].name, " ", from.shape(), " cannot be drawn towards ",
        name_of(to.dtype()), " ", to.shape());
    GRAFT_CHECK(pulls[i].strength >= 0 && std::isfinite(pulls[i].strength),
                "optimizer: ", parameters[i].name, " is drawn with a strength of ",
                pulls[i].strength);
  }
}

}  // namespace

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const auto& [name, rule] : kOptimizerRules) names.emplace_back(name);
  return names;
}

std::unique_ptr<Optimizer> make_optimizer(std::vector<NamedTensor> parameters,
                                          const OptimizerOptions& o,
                                          std::vector<ParameterScale> scales,
                                          std::vector<ParameterPull> pulls) {
  GRAFT_CHECK((o.name != "lars" && o.name != "lamb") || o.weight_decay > 0, "optimizer: ", o.name,
              " scales the steps of parameters that have weight decay, and there is none");
  check_pulls(parameters, o, pulls);
  GRAFT_CHECK(o.momentum >= 0 && o.momentum < 1 && o.weight_decay >= 0, "optimizer: momentum ",
              o.momentum, ", weight decay ", o.weight_decay);
  GRAFT_CHECK(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1 && o.eps >= 0,
              "optimizer: betas ", o.beta1, " and ", o.beta2, ", eps ", o.eps);
  GRAFT_CHECK(o.loss_scale == 0 || (o.loss_scale >= 1 && o.loss_scale <= LossScale::kMost),
              "optimizer: a loss scale of ", o.loss_scale, " is not between 1 and 2^24");
  GRAFT_CHECK(o.clip_norm >= 0 && std::isfinite(o.clip_norm), "optimizer: a clip norm of ",
              o.clip_norm);
  GRAFT_CHECK(scales.empty() || scales.size() == parameters.size(), "optimizer: ", scales.size(),
              " scales for ", parameters.size(), " parameters");
  for (const ParameterScale& scale : scales)
    GRAFT_CHECK(scale.rate >= 0 && scale.decay >= 0 && std::isfinite(scale.rate * scale.decay),
                "optimizer: a parameter's rate times ", scale.rate, ", its decay times ",
                scale.decay);
  return std::make_unique<SlotOptimizer>(std::move(parameters), o, std::move(scales),
                                         std::move(pulls));
}

}  // namespace graft::train
