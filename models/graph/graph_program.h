// What a GraphModule runs: the nodes as steps over numbered values.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/core/tensor/device_backend.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/graph/operators.h"

namespace graft::models {

inline constexpr int kNoValue = -1;

// A constant on the other device than its own: an integer that meets a device's values, or a number
// of the device's that an operator reads. Kept while the constant's bits stay.
struct PlacedCopy {
  uint64_t storage = 0, version = 0;
  Tensor value;

  const Tensor& of(const Tensor& constant, Device device) {
    if (constant.device() == device) return constant;
    if (!value.defined() || value.device() != device || storage != constant.storage_id() ||
        version != constant.version()) {
      value = to_device(constant, device);
      storage = constant.storage_id(), version = constant.version();
    }
    return value;
  }
};

struct GraphModule::Step {
  io::onnx::Node node;
  const graph::Operator* op = nullptr;
  int64_t opset = 1;
  std::vector<int> inputs{}, outputs{};
  std::vector<int> last_uses{};  // values that no later step reads
  bool for_first_output = false;
  BatchNorm2d* norm = nullptr;               // set: it runs instead of the operator
  Module* dropout = nullptr;                 // the same
  const BatchNorm2d* norm_behind = nullptr;  // of a convolution: it alone reads the result
  // Fused steps, which run where all that they are made of lies in the range that runs.
  static constexpr size_t kNone = static_cast<size_t>(-1);
  size_t absorbed_by = kNone;           // the step that does this one's work then
  std::shared_ptr<const Step> fused{};  // what runs then in place of this step, which is the last
  size_t fused_from = kNone;            // the first
  bool adds = false, relu = false;      // of a fused norm: inputs[1] is added, ReLU comes behind
};

struct GraphModule::Program {
  struct Stage {
    size_t begin = 0, end = 0;  // steps
    int value = kNoValue;       // the value it ends in
  };

  std::vector<GraphInput> inputs;
  std::vector<std::string> outputs;
  std::vector<int> input_values, output_values;
  std::vector<Step> steps;
  std::vector<Stage> stages;
  std::vector<std::string> names;        // by value
  std::vector<const Tensor*> constants;  // by value; null for values that are computed
  std::vector<PlacedCopy> copies;        // by value: a constant where its readers want it
  int64_t declared_batch = 0;

  int values() const { return static_cast<int>(constants.size()); }
};

}  // namespace graft::models
