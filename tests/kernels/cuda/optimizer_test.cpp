// The multi-tensor optimizer kernels on the emulator, beside the optimizers that the CPU trains with.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/kernels/ops/optimizer_step.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/train/optimizer.h"

namespace graft {
namespace {

using test::kCuda;

std::vector<NamedTensor> parameters(int count, uint64_t stream) {
  std::vector<NamedTensor> list;
  for (int i = 0; i < count; ++i)
    list.push_back({str("p", i), test::distinct_values({i % 5 == 0 ? 4100 : 3 + i}, -1, 1, stream + static_cast<uint64_t>(i)).to(DType::f32)});
  return list;
}

// The same steps on the CPU and on the device; more tensors than one launch takes.
void compare(const train::OptimizerOptions& options) {
  test::EmulatedDevice emulated;
  std::vector<NamedTensor> host = parameters(40, 1), device;
  for (const NamedTensor& p : host) {
    device.push_back({p.name, to_device(p.tensor, kCuda)});
    set_requires_grad(p.tensor, true);
    set_requires_grad(device.back().tensor, true);
  }
  const auto on_host = train::make_optimizer(host, options), on_device = train::make_optimizer(device, options);
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
    EXPECT_LE(test::relative_error(device[i].tensor.to_doubles(), host[i].tensor.to_doubles()), 2e-6) << host[i].name;
  const StateDict state = on_host->state(), moved = on_device->state();
  ASSERT_EQ(moved.size(), state.size());
  for (const auto& [name, tensor] : state) EXPECT_LE(test::relative_error(moved.at(name).to_doubles(), tensor.to_doubles()), 2e-6) << name;
}

TEST(CudaOptimizer, StepsAsTheCpuDoes) {
  compare({.name = "sgd", .momentum = 0});
  compare({.name = "sgd", .momentum = 0.9, .weight_decay = 1e-2});
  compare({.name = "sgd", .momentum = 0.9, .nesterov = true});
  compare({.name = "adam", .weight_decay = 1e-2});
  compare({.name = "adamw", .weight_decay = 1e-2});
}

struct PlainStep {
  ops::OptimizerParameter parameter;
  Tensor numbers;
  explicit PlainStep(const std::vector<float>& gradient)
      : parameter{Tensor::zeros({static_cast<int64_t>(gradient.size())}, {.device = kCuda}),
                  to_device(Tensor::of({static_cast<int64_t>(gradient.size())}, gradient), kCuda), {}, {},
                  Tensor::zeros({static_cast<int64_t>(gradient.size())}, {.dtype = DType::bf16, .device = kCuda})},
        numbers(to_device(Tensor::of<float>({ops::kOptimizerNumbers}, {1, 1, 1, 0.5f}), kCuda)) {}
  std::vector<double> run(const ops::OptimizerStepAttributes& attributes) {
    ops::optimizer_kernels_for(kCuda)(current_context(), {std::span(&parameter, 1), numbers, attributes});
    return parameter.weight.to_doubles();
  }
};

TEST(CudaOptimizer, ScalesClipsAndKeepsA16BitCopy) {
  test::EmulatedDevice emulated;
  PlainStep plain({6, -8});  // scaled by 1/2: 3 and -4, of norm 5
  EXPECT_EQ(plain.run({.momentum = 0}), (std::vector<double>{-3, 4}));
  EXPECT_EQ(plain.parameter.copy.to_doubles(), (std::vector<double>{-3, 4}));
  PlainStep clipped({6, -8});
  const std::vector<double> w = clipped.run({.momentum = 0, .max_norm = 1});
  EXPECT_NEAR(w[0], -0.6, 1e-6);
  EXPECT_NEAR(w[1], 0.8, 1e-6);
  PlainStep small({6, -8});
  EXPECT_EQ(small.run({.momentum = 0, .max_norm = 10}), (std::vector<double>{-3, 4}));
}

TEST(CudaOptimizer, LeavesOutAStepWhoseGradientsAreNotFinite) {
  test::EmulatedDevice emulated;
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    PlainStep step({1, bad, 2});
    EXPECT_EQ(step.run({.momentum = 0, .skip_if_not_finite = true}), (std::vector<double>{0, 0, 0}));
    EXPECT_EQ(step.parameter.copy.to_doubles(), (std::vector<double>{0, 0, 0}));
  }
}

}  // namespace
}  // namespace graft
