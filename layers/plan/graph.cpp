#include "graft/layers/plan/graph.h"

#include <utility>

#include "graft/core/base/error.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/linear.h"

namespace graft::plan {
namespace {

// A reshape's result shares its input's storage: value and shape together tell values apart.
using Key = std::pair<uint64_t, std::string>;
Key key_of(const Tensor& tensor) { return {tensor.storage_id(), tensor.shape().to_string()}; }

// A tensor that nobody recorded may have been made for the traced number of samples (a graph's
// ConstantOfShape). Filters are parameters whatever their extents.
bool looks_like_samples(std::string_view op, const Tensor& constant, int64_t samples) {
  const bool filter = op == ops::ConvAttributes::id || op == ops::ConvTransposeAttributes::id ||
                      op == ops::LinearAttributes::id;
  return !filter && constant.rank() >= 2 && constant.size(0) == samples;
}

}  // namespace

Graph graph_of(const Trace& trace, const Tensor& input, const Tensor& output) {
  Graph graph;
  std::map<Key, Value> known;
  graph.input = graph.values++;
  known[key_of(input)] = graph.input;
  graph.elements[graph.input] = input.numel() / input.size(0);
  const auto value_of = [&](const Tensor& tensor) {
    if (!tensor.defined()) return kNoValue;
    const auto found = known.find(key_of(tensor));
    if (found != known.end()) return found->second;
    const Value value = graph.values++;  // not computed here: a parameter
    known[key_of(tensor)] = value;
    graph.constants[value] = tensor;
    return value;
  };
  for (const TraceStep& traced : trace.steps) {
    Step step;
    step.op = traced.op;
    step.attributes = traced.attributes;
    step.replay = traced.replay;
    bool constant = true;
    for (const Tensor& tensor : traced.inputs) {
      step.inputs.push_back(value_of(tensor));
      step.ranks.push_back(tensor.defined() ? tensor.rank() : 0);
      const bool fixed = graph.constants.contains(step.inputs.back());
      constant = constant && (step.inputs.back() == kNoValue || fixed);
      GRAFT_CHECK(!fixed || !looks_like_samples(traced.op, tensor, input.size(0)),
                  "plan: ", traced.op, " reads a constant ", tensor.shape(),
                  ", which may hold one entry a sample");
    }
    GRAFT_CHECK(traced.outputs.size() == 1, "plan: ", traced.op, " has ", traced.outputs.size(),
                " results");
    const Tensor& result = traced.outputs[0];
    const bool by_sample = result.rank() > 0 && result.size(0) == input.size(0);
    step.output = graph.values++;
    known[key_of(result)] = step.output;
    if (constant &&
        !by_sample) {  // one that looks like samples may have been made for their number
      graph.constants[step.output] = result;
      continue;
    }
    GRAFT_CHECK(by_sample, "plan: ", traced.op, " gives ", result.shape(),
                ", which is not one entry a sample");
    graph.elements[step.output] = result.numel() / result.size(0);
    graph.steps.push_back(std::move(step));
  }
  const auto end = known.find(key_of(output));
  GRAFT_CHECK(end != known.end() && !graph.constants.contains(end->second),
              "plan: the result was not computed by recorded operations");
  graph.output = end->second;
  return graph;
}

}  // namespace graft::plan
