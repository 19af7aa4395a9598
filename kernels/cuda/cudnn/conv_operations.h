// A ConvGraph as cuDNN's descriptors: tensors, operations, the operation graph.
#pragma once
#include <vector>

#include "graft/kernels/cuda/cudnn/descriptor.h"
#include "graft/kernels/cuda/cudnn/dnn.h"

namespace graft::cudnn {

// The graph with all that it is made of; cuDNN wants the parts alive while plans are sought.
struct OperationGraph {
  std::vector<Descriptor> parts;
  Descriptor graph;
};
OperationGraph describe(const api::Library& library, const ConvGraph& graph);

// The number by which cuDNN knows an operand.
constexpr int64_t id_of(Operand operand) { return static_cast<int64_t>(operand) + 1; }

}  // namespace graft::cudnn
