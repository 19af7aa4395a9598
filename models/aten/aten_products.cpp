// Matrix products, attention and sums over axes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {
namespace {

using io::onnx::integer_attribute;
using io::onnx::integers_attribute;
using io::onnx::real_attribute;

// x W' + b: rows of features, whatever stands in front of them.
void multiply_rows(AtenCall& call, const char* input, const std::string& weight,
                   const std::string& bias) {
  const int rank = call.rank(input);
  std::string x = call.tensor(input);
  const Attribute transposed = integer_attribute("transB", 1);
  if (rank == 2) return call.finish(call.add("Gemm", {x, weight, bias}, {transposed}));
  if (rank < 2 || call.result().free_axes() > 1) {
    const std::string matrix =
        call.add("Transpose", {weight}, {integers_attribute("perm", {1, 0})});
    x = call.add("MatMul", {x, matrix});
    return call.finish(bias.empty() ? x : call.add("Add", {x, bias}));
  }
  x = call.add("Reshape", {x, call.numbers({-1, call.size(input, rank - 1)})});
  call.reshape(input, call.add("Gemm", {x, weight, bias}, {transposed}));
}
void linear(AtenCall& call) {
  const std::string weight = call.tensor("weight");
  multiply_rows(call, "input", weight, call.optional_tensor("bias"));
}

void addmm(AtenCall& call) {
  const Known& right = call.building().known[call.program_name("mat2")];
  const bool turned = !right.transposed.empty();
  const std::string bias = call.tensor("self");
  const std::string weight = turned ? right.transposed : call.tensor("mat2");
  call.finish(
      call.add("Gemm", {call.tensor("mat1"), weight, bias},
               {integer_attribute("transB", turned), real_attribute("alpha", call.real("alpha", 1)),
                real_attribute("beta", call.real("beta", 1))}));
}

// A transposed weight, which may be repeated along axes in front, is a linear layer's.
void product_of(AtenCall& call, const char* right_name) {
  const std::string right = call.tensor(right_name);
  const std::string weight = call.building().known[call.program_name(right_name)].transposed;
  if (!weight.empty() && call.rank("self") >= call.rank(right_name))
    return multiply_rows(call, "self", weight, "");
  call.finish(call.add("MatMul", {call.tensor("self"), right}));
}
void mm(AtenCall& call) { product_of(call, "mat2"); }
void matmul(AtenCall& call) { product_of(call, "other"); }

void baddbmm(AtenCall& call) {
  if (call.real("alpha", 1) != 1 || call.real("beta", 1) != 1) call.refuse("alpha or beta");
  const std::string product = call.add("MatMul", {call.tensor("batch1"), call.tensor("batch2")});
  call.finish(call.add("Add", {product, call.tensor("self")}));
}

void einsum(AtenCall& call) {
  Attribute equation;
  equation.name = "equation";
  equation.type = io::onnx::AttributeType::string;
  equation.s = call.text("equation", "");
  std::vector<std::string> operands;
  for (const std::string& name : call.program_names("tensors"))
    operands.push_back(call.value_of(name));
  call.finish(call.add("Einsum", operands, {equation}));
}

// softmax(q k' scale + mask) v
void attention(AtenCall& call) {
  const int rank = call.rank("query");
  if (rank < 2 || call.flag("enable_gqa")) call.refuse("grouped heads");
  if (call.flag("is_causal")) call.refuse("a causal mask");
  const auto width = static_cast<double>(call.size("query", rank - 1));
  const double scale = call.real("scale", 1 / std::sqrt(width));
  std::vector<int64_t> order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  const int64_t type = call.meta("query").type;
  const std::string query = call.add("Mul", {call.tensor("query"), call.number(scale, type)});
  const std::string keys =
      call.add("Transpose", {call.tensor("key")}, {integers_attribute("perm", order)});
  std::string scores = call.add("MatMul", {query, keys});
  if (call.is_tensor("attn_mask")) {
    const std::string mask = call.tensor("attn_mask");
    scores = call.meta("attn_mask").type == 12
                 ? call.add("Where", {mask, scores, call.number(-HUGE_VAL, type)})
                 : call.add("Add", {scores, mask});
  }
  scores = call.add("Softmax", {scores}, {integer_attribute("axis", -1)});
  if (const double ratio = call.real("dropout_p", 0); ratio > 0)
    scores = call.add("Dropout", {scores, call.number(ratio, 7)});
  call.finish(call.add("MatMul", {scores, call.tensor("value")}));
}

// `truth`: of truth values, which ONNX does not reduce.
void reduce(AtenCall& call, const char* op, bool truth = false) {
  const int rank = call.rank("self");
  const bool kept = call.flag("keepdim");
  std::vector<int64_t> axes = call.integers("dim");
  for (int64_t& axis : axes) {
    if (axis < -rank || axis >= std::max(rank, 1)) call.refuse(str("axis ", axis));
    if (axis < 0) axis += rank;
  }
  if (axes.empty())
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
  const int batch = call.building().batch_axis(call.program_name("self"));
  std::string x = call.tensor("self");
  const int64_t type = truth ? 7 : call.result().type;
  if (onnx_type(call.meta("self").type) != onnx_type(type)) x = call.cast(x, type);
  x = call.add(op, {x, call.numbers(axes)}, {integer_attribute("keepdims", kept)});
  call.finish(truth ? call.cast(x, call.result().type) : x);
  if (batch == kNoBatch || std::find(axes.begin(), axes.end(), batch) != axes.end()) return;
  const auto before = std::count_if(axes.begin(), axes.end(), [&](int64_t a) { return a < batch; });
  call.set_batch(kept ? batch : batch - static_cast<int>(before));
}
void mean(AtenCall& call) { reduce(call, "ReduceMean"); }
void sum(AtenCall& call) { reduce(call, "ReduceSum"); }
void amax(AtenCall& call) { reduce(call, "ReduceMax"); }
void amin(AtenCall& call) { reduce(call, "ReduceMin"); }
void any_of_axes(AtenCall& call) { reduce(call, "ReduceMax", true); }

// The length of the vectors along axes.
void norm(AtenCall& call) {
  const char* order = call.find("ord") ? "ord" : "p";
  const double p = call.real(order, 2);
  if (p != 1 && p != 2) call.refuse(str("the norm of order ", p));
  reduce(call, p == 1 ? "ReduceL1" : "ReduceL2");
}

constexpr AtenOperator kProducts[] = {
    {"linear", linear},
    {"addmm", addmm},
    {"mm", mm},
    {"bmm", mm},
    {"matmul", matmul},
    {"baddbmm", baddbmm},
    {"einsum", einsum},
    {"scaled_dot_product_attention", attention},
    {"_scaled_dot_product_flash_attention_for_cpu", attention},
    {"mean", mean},
    {"sum", sum},
    {"amax", amax},
    {"amin", amin},
    {"any", any_of_axes},
    {"norm", norm},
    {"linalg_vector_norm", norm},
};

}  // namespace

AtenTable aten_products() { return kProducts; }

}  // namespace graft::models::aten
