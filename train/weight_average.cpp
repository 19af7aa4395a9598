#include "graft/train/weight_average.h"

#include <algorithm>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/ops/optimizer.h"
#include "graft/kernels/registry.h"
#include "graft/train/run_context.h"

namespace graft::train {

WeightAverage::WeightAverage(StagedNetwork& network, double decay) : decay_(decay) {
  GRAFT_CHECK(decay > 0 && decay < 1, "ema: ", decay, " is not between 0 and 1");
  for (const auto& [name, tensor] : changing(network))
    if (tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64)
      averages_.push_back({name, tensor, tensor.detach().clone()});
}

// The optimizers' kernel takes it for a step of SGD from the average down (average - value), at the
// rate 1 - d: the value stands for the gradient, times -1, beside a weight decay of 1.
void WeightAverage::update() {
  ++steps_;
  if (averages_.empty()) return;
  const double t = static_cast<double>(steps_), d = std::min(decay_, (1 + t) / (10 + t));
  const Device device = averages_[0].value.device();
  std::vector<double> numbers(ops::kOptimizerNumbers, 1.0);
  numbers[ops::learning_rate] = 1 - d;
  numbers[ops::gradient_scale] = -1;
  Tensor there =
      Tensor::empty({ops::kOptimizerNumbers},
                    {.dtype = is_cpu(device) ? DType::f64 : DType::f32, .device = device});
  there.copy_from(Tensor::of({ops::kOptimizerNumbers}, numbers));
  std::vector<ops::OptimizerParameter> list;
  for (const Average& a : averages_)
    list.push_back({a.average, a.value.detach().to(a.average.format()), {}, {}, {}});
  const ops::OptimizerStepAttributes attributes{
      .rule = ops::OptimizerRule::sgd, .momentum = 0, .weight_decay = 1};
  kernels_for<ops::OptimizerKernels>(device).step(current_context(), {list, there, attributes});
}

StateDict WeightAverage::state() const {
  StateDict state;
  for (const Average& a : averages_) state.add(a.name, a.average);
  state.add("/steps", Tensor::of<int64_t>(Shape{}, {steps_}));
  return state;
}

void WeightAverage::load_state(const StateDict& state) {
  GRAFT_CHECK(state.size() == averages_.size() + 1, "the checkpoint has ", state.size(),
              " averages, expected ", averages_.size() + 1);
  for (Average& a : averages_) {
    const Tensor kept = state.at(a.name);
    GRAFT_CHECK(kept.shape() == a.average.shape() && kept.dtype() == a.average.dtype(),
                "the checkpoint's average of ", a.name, " is ", name_of(kept.dtype()), " ",
                kept.shape(), ", expected ", a.average.shape());
    a.average.copy_from(kept);
  }
  const double steps = state.at("/steps").item();
  GRAFT_CHECK(steps >= 0 && steps <= 1e15, "the checkpoint's averages are of ", steps, " steps");
  steps_ = static_cast<int64_t>(steps);
}

AveragesInPlace::AveragesInPlace(const WeightAverage* of) : of_(of) {
  if (!of) return;
  for (const auto& a : of->averages_) before_.push_back(a.value.detach().clone());
  for (const auto& a : of->averages_) Tensor(a.value).copy_from(a.average);
}

AveragesInPlace::~AveragesInPlace() {
  for (size_t i = 0; i < before_.size(); ++i) Tensor(of_->averages_[i].value).copy_from(before_[i]);
}

}  // namespace graft::train
