// Matrix products.
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// The common case alone: x W' + b with weights stored [O,I].
OpOutputs gemm_op(const OpCall& call) {
  GRAFT_CHECK(call.integer("transA", 0) == 0 && call.integer("transB", 0) == 1 && call.real("alpha", 1) == 1 && call.real("beta", 1) == 1,
              "only x times a transposed weight plus a bias is supported");
  return {functional::linear(call.in(0), call.in(1), call.optional(2))};
}

constexpr Operator kLinear[] = {
    {"Gemm", gemm_op, "alpha beta transA transB broadcast"},
};

}  // namespace

OperatorTable linear_operators() { return kLinear; }

}  // namespace graft::models::graph
