// The multi-tensor optimizer kernels on the device, beside the optimizers that the CPU trains with.
#include "graft/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/kernels/ops/optimizer.h"
#include "graft/kernels/registry.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::kCuda;

std::vector<NamedTensor> parameters(int count, uint64_t stream) {
  std::vector<NamedTensor> list;
  for (int i = 0; i < count; ++i)
    list.push_back({str("p", i), test::distinct_values({i % 5 == 0 ? 4100 : 3 + i}, -1, 1,
                                                       stream + static_cast<uint64_t>(i))
                                     .to(DType::f32)});
  return list;
}

// The same steps on the CPU and on the device; more tensors than one launch takes.
void compare(const train::OptimizerOptions& options) {
  test::TestDevice opened;
  std::vector<NamedTensor> host = parameters(40, 1), device;
  for (const NamedTensor& p : host) {
    device.push_back({p.name, to_device(p.tensor, kCuda)});
    set_requires_grad(p.tensor, true);
    set_requires_grad(device.back().tensor, true);
  }
  const auto on_host = train::make_optimizer(host, options),
             on_device = train::make_optimizer(device, options);
  for (uint64_t step = 0; step < 3; ++step) {
    const std::vector<NamedTensor> gradients = parameters(40, 100 + 50 * step);
    for (size_t i = 0; i < host.size(); ++i) {
      if (i == 7) continue;  // has no gradient: stays as it is
      set_grad(host[i].tensor, gradients[i].tensor);
      set_grad(device[i].tensor, to_device(gradients[i].tensor, kCuda));
    }
    on_host->step(0.1 / static_cast<double>(step + 1));
    on_device->step(0.1 / static_cast<double>(step + 1));
  }
  for (size_t i = 0; i < host.size(); ++i)
    EXPECT_LE(test::relative_error(device[i].tensor.to_doubles(), host[i].tensor.to_doubles()),
              2e-6)
        << host[i].name;
  const StateDict state = on_host->state(), moved = on_device->state();
  ASSERT_EQ(moved.size(), state.size());
  for (const auto& [name, tensor] : state)
    EXPECT_LE(test::relative_error(moved.at(name).to_doubles(), tensor.to_doubles()), 2e-6) << name;
}

TEST(CudaOptimizer, StepsAsTheCpuDoes) {
  compare({.name = "sgd", .momentum = 0});
  compare({.name = "sgd", .momentum = 0.9, .weight_decay = 1e-2});
  compare({.name = "sgd", .momentum = 0.9, .nesterov = true});
  compare({.name = "adam", .weight_decay = 1e-2});
  compare({.name = "adamw", .weight_decay = 1e-2});
  compare({.name = "rmsprop", .weight_decay = 1e-2, .beta2 = 0.99});
}

// One step of SGD without momentum, rate 1 and loss scale 2, on the device or by the reference.
struct PlainStep {
  Device device;
  ops::OptimizerParameter parameter;
  Tensor numbers;
  PlainStep(Device where, const std::vector<float>& gradient) : device(where) {
    const Shape shape{static_cast<int64_t>(gradient.size())};
    parameter = {Tensor::zeros(shape, {.device = device}),
                 to_device(Tensor::of(shape, gradient), device),
                 {},
                 {},
                 Tensor::zeros(shape, {.dtype = DType::bf16, .device = device})};
    const Tensor values = Tensor::of<double>({ops::kOptimizerNumbers}, {1, 1, 1, 0.5});
    numbers = to_device(is_cpu(device) ? values : values.to(DType::f32), device);
  }
  std::vector<double> run(const ops::OptimizerStepAttributes& attributes) {
    kernels_for<ops::OptimizerKernels>(device).step(
        current_context(), {std::span(&parameter, 1), numbers, attributes});
    return parameter.weight.to_doubles();
  }
};

TEST(CudaOptimizer, ScalesClipsAndKeepsA16BitCopy) {
  test::TestDevice opened;
  for (const Device device : {Device{}, kCuda}) {
    PlainStep plain(device, {6, -8});  // scaled by 1/2: 3 and -4, of norm 5
    EXPECT_EQ(plain.run({.momentum = 0}), (std::vector<double>{-3, 4}));
    EXPECT_EQ(plain.parameter.copy.to_doubles(), (std::vector<double>{-3, 4}));
    PlainStep clipped(device, {6, -8});
    const std::vector<double> w = clipped.run({.momentum = 0, .max_norm = 1});
    EXPECT_NEAR(w[0], -0.6, 1e-6);
    EXPECT_NEAR(w[1], 0.8, 1e-6);
    PlainStep small(device, {6, -8});
    EXPECT_EQ(small.run({.momentum = 0, .max_norm = 10}), (std::vector<double>{-3, 4}));
  }
}

TEST(CudaOptimizer, LeavesOutAStepWhoseGradientsAreNotFinite) {
  test::TestDevice opened;
  for (const Device device : {Device{}, kCuda})
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      PlainStep step(device, {1, bad, 2});
      EXPECT_EQ(step.run({.momentum = 0, .skip_if_not_finite = true}),
                (std::vector<double>{0, 0, 0}));
      EXPECT_EQ(step.parameter.copy.to_doubles(), (std::vector<double>{0, 0, 0}));
    }
}

}  // namespace
}  // namespace graft
