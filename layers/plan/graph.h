// The plan's graph: a trace with its values numbered, which the passes rewrite and the plan then runs.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graft/core/autograd/trace.h"
#include "graft/kernels/ops/fused_conv.h"

namespace graft::plan {

using Value = int;  // index of a value; kNoValue for an absent optional input
inline constexpr Value kNoValue = -1;

// A convolution with all that was fused into it.
struct FusedConv {
  ops::FusedConvAttributes attributes;
  Tensor weight, bias;  // bias may be undefined
  std::shared_ptr<const ops::PackedWeight> packed;
};

struct Step {
  std::string_view op;
  std::any attributes;
  std::vector<Value> inputs;  // of a fused_conv: x, residual
  std::vector<int> ranks;     // of the traced inputs; 0 for an absent one
  Value output = kNoValue;
  std::shared_ptr<FusedConv> conv;  // set: a fused_conv
};

struct Graph {
  std::vector<Step> steps;
  std::map<Value, Tensor> constants;  // parameters and buffers, and what was computed from them alone
  Value input = 0, output = kNoValue;
  int values = 0;
};

// bad_input when the trace's output was not computed from its input by recorded operations, or a result on the way has not
// one entry a sample on its first axis.
Graph graph_of(const Trace& trace, const Tensor& input, const Tensor& output);

// Folds eval batch norms into the convolutions before them and fuses residual sums and ReLUs. Convolutions that are 2-D
// become fused_conv steps; the rest stays as it was traced.
void fuse_convolutions(Graph& graph);

// Runs one traced operation by its functional; `samples`: what the batch axis is now, `traced_samples` what it was. Empty
// when plans do not know the operation.
using Run = std::function<Tensor(const std::vector<Tensor>& inputs)>;
Run operation(const Step& step, const Graph& graph, int64_t traced_samples);

}  // namespace graft::plan
