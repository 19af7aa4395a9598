// The plan's graph: a trace with its values numbered, which the passes rewrite and the plan then
// runs.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graft/core/autograd/trace.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/ops/quantized_conv.h"
#include "graft/layers/plan/calibration.h"

namespace graft::plan {

using Value = int;  // index of a value; kNoValue for an absent optional input
inline constexpr Value kNoValue = -1;

// A convolution with all that was fused into it.
struct FusedConv {
  ops::FusedConvAttributes attributes;
  Tensor weight{}, bias{};  // bias may be undefined
  std::shared_ptr<const ops::PackedWeight> packed{};
  // Weights are packed for keeps from the second run on: a plan that runs once (one photo) touches
  // less memory and is done earlier. The bits are the same.
  mutable std::atomic<bool> ran{false};
};

// The same in 8-bit integers.
struct QuantizedConv {
  ops::QuantizedConvAttributes attributes;
  Tensor weight{}, multiplier{}, bias{};  // i8 [K,C/groups,R,S], f32 [K], f32 [K]
  bool y_is_u8 = false;
  std::shared_ptr<const ops::PackedWeight> packed{};
};
inline constexpr std::string_view kQuantize = "quantize";  // its attributes are ops::Quantization

struct Step {
  std::string_view op;
  std::any attributes;
  std::vector<Value> inputs{};  // of a fused_conv: x, residual
  std::vector<int> ranks{};     // of the traced inputs; 0 for an absent one
  Value output = kNoValue;
  std::shared_ptr<FusedConv> conv{};           // set: a fused_conv
  std::shared_ptr<QuantizedConv> quantized{};  // set: a quantized_conv
  MakeReplay replay = nullptr;                 // of a step that is as it was traced
};

struct Graph {
  std::vector<Step> steps{};
  std::map<Value, Tensor>
      constants;  // parameters and buffers, and what was computed from them alone
  std::map<Value, int64_t> elements{};  // of one sample of a value
  Value input = 0, output = kNoValue;
  int values = 0;
};

// Consecutive steps [begin, end) between two values, `in` and `out`, of which nothing else is read
// behind them. They run on `group` samples at a time.
struct Segment {
  size_t begin, end;
  Value in{}, out{};
  int64_t group;
};
// How large groups may become.
struct GroupLimits {
  int64_t bytes;  // of the largest value of a group
  int64_t samples;
};
// The largest value stays in the last-level cache; beyond 16 samples weights are read seldom
// enough.
inline constexpr GroupLimits kCpuGroups{int64_t{8} << 20, 16};
// A GPU wants all the work at once.
inline constexpr GroupLimits kWholeBatch{int64_t{1} << 60, int64_t{1} << 40};
// Groups grow along a network as its values shrink: each is as large as the limits allow, so that
// weights are read seldom and values are found where they were left.
std::vector<Segment> segments_of(const Graph& graph, int64_t element_bytes,
                                 const GroupLimits& limits);

// bad_input when the trace's output was not computed from its input by recorded operations, or a
// result on the way has not one entry a sample on its first axis.
Graph graph_of(const Trace& trace, const Tensor& input, const Tensor& output);

// Folds eval batch norms into the convolutions before them and fuses residual sums and activations.
// Convolutions that are 2-D become fused_conv steps; the rest stays as it was traced. Functions
// other than ReLU and ReLU6 are fused where asked for, on the CPU.
enum class FusedFunctions : bool { no, yes };
void fuse_convolutions(Graph& graph, FusedFunctions functions);

// Makes 8-bit steps of the fused convolutions whose channels come in fours, all but few (the first
// layer) and depthwise ones: those stay in f32, and so does what other steps read. bad_input when
// the calibration is of another network.
void quantize_convolutions(Graph& graph, const Calibration& calibration);

}  // namespace graft::plan
