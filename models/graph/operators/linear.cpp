// Matrix products.
#include "graft/layers/functional/linear.h"

#include "graft/layers/functional/matrices.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

// x times a weight stored [O,I], the usual classifier, goes the way of linear layers.
OpOutputs gemm_op(const OpCall& call) {
  const Tensor &a = call.in(0), &b = call.in(1), c = call.optional(2);
  const functional::GemmOptions options{call.real("alpha", 1), call.real("beta", 1),
                                        call.integer("transA", 0) != 0,
                                        call.integer("transB", 0) != 0};
  const bool is_linear = !options.transpose_a && options.transpose_b && options.alpha == 1 &&
                         options.beta == 1 && is_floating(a.dtype()) && a.rank() == 2 &&
                         b.rank() == 2 &&
                         (!c.defined() || (c.rank() == 1 && c.numel() == b.shape()[0]));
  return {is_linear ? functional::linear(a, b, c) : functional::gemm(a, b, c, options)};
}

OpOutputs matmul_op(const OpCall& call) { return {functional::matmul(call.in(0), call.in(1))}; }

OpOutputs einsum_op(const OpCall& call) {
  for (size_t i = 0; i < call.inputs(); ++i) call.in(i);
  return {functional::einsum(call.text("equation", ""), call.all())};
}

constexpr Operator kLinear[] = {
    {"Gemm", gemm_op, "alpha beta transA transB broadcast"},
    {"MatMul", matmul_op, ""},
    {"Einsum", einsum_op, "equation"},
};

}  // namespace

OperatorTable linear_operators() { return kLinear; }

}  // namespace graft::models::graph
