#include "graft/kernels/cuda/cudnn/measure.h"

#include <algorithm>
#include <limits>

#include "graft/core/base/log.h"
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/gpu/handles.h"

namespace graft::cudnn {
namespace {

constexpr int kRounds = 3, kRunsARound = 4;

// The least of several rounds: what disturbs a round only makes it longer.
double milliseconds(PlanCache& cache, gpu::Device& device, const Plan& plan,
                    std::span<const Binding> bindings) {
  gpu::Event begin(device, true), end(device, true);
  cache.run(plan, "cuDNN, measured", bindings);  // warms caches, loads the kernel
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    begin.record(device.stream());
    for (int i = 0; i < kRunsARound; ++i) cache.run(plan, "cuDNN, measured", bindings);
    end.record(device.stream());
    end.synchronize();
    least = std::min(least, static_cast<double>(end.milliseconds_since(begin)) / kRunsARound);
  }
  return least;
}

}  // namespace

std::vector<double> measure(PlanCache& cache, gpu::Device& device, const ConvGraph& graph,
                            std::span<const std::unique_ptr<Plan>> plans) {
  std::vector<Tensor> tensors;
  std::vector<Binding> bindings;
  for (const Operand operand : operands_of(graph)) {
    tensors.push_back(
        Tensor::empty({bytes_of(graph, operand)}, {.dtype = DType::u8, .device = device.id()}));
    bindings.push_back({operand, tensors.back().mutable_raw()});
    device.set_bytes(tensors.back().mutable_raw(), 0, tensors.back().bytes());
  }
  std::vector<double> times;
  for (const std::unique_ptr<Plan>& plan : plans) {
    times.push_back(std::numeric_limits<double>::infinity());
    try {
      times.back() = milliseconds(cache, device, *plan, bindings);
    } catch (const Error& error) {
      device.require_alive();
      log("cudnn", plan->tag, ": ", error.what());
    }
  }
  return times;
}

}  // namespace graft::cudnn
