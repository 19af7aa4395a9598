// Inputs and attributes as in ONNX's Operators.md and onnxruntime's ContribOperators.md.
#include "graft/models/graph/quantized_operators.h"

#include <algorithm>

#include "graft/models/graph/node_expansion.h"

namespace graft::models::graph {
namespace {

using io::onnx::Attribute;
using io::onnx::Node;

// One quantized node.
class Expansion : public NodeExpansion {
 public:
  using NodeExpansion::NodeExpansion;

  // The float of `tensor`; its scale and zero point, when vectors, lie along `axis`.
  std::string dequantized(size_t tensor, const std::string& scale, const std::string& zero,
                          int64_t axis = 1) {
    std::vector<std::string> inputs{input(tensor), scale};
    if (!zero.empty()) inputs.push_back(zero);
    return add("DequantizeLinear", std::move(inputs), str("float", tensor),
               {integer_attribute("axis", axis)});
  }
  std::string dequantized_at(size_t tensor, int64_t axis = 1) {
    return dequantized(tensor, input(tensor + 1), input(tensor + 2), axis);
  }
  std::string product(const std::string& a, const std::string& b) {
    return add("Mul", {a, b}, "scale");
  }
  // The same, quantized to the scale and zero point at inputs `scale` and `scale` + 1; float where
  // the node names none.
  void compute_quantized(const char* op, std::vector<std::string> inputs, size_t scale,
                         std::initializer_list<std::string_view> dropped = {}) {
    if (!has(scale)) return compute(op, std::move(inputs), node_.outputs.at(0), dropped);
    const std::string real = str(base_, "/float");
    compute(op, std::move(inputs), real, dropped);
    Node q;
    q.name = str(base_, "/quantize");
    q.op_type = "QuantizeLinear";
    q.inputs = {real, input(scale)};
    if (has(scale + 1)) q.inputs.push_back(input(scale + 1));
    q.outputs = {node_.outputs.at(0)};
    out_.push_back(std::move(q));
  }
};

bool channels_last(const Expansion& e) { return e.integer("channels_last", 0) != 0; }

bool conv(Expansion& e) {
  if (channels_last(e)) return false;
  const std::string x = e.dequantized_at(0), w = e.dequantized_at(3, 0);
  const std::string bias =
      e.has(8) ? e.dequantized(8, e.product(e.input(1), e.input(4)), "", 0) : "";
  e.compute_quantized("Conv", {x, w, bias}, 6, {"channels_last"});
  return true;
}

bool matmul(Expansion& e) {
  const std::string a = e.dequantized_at(0, -2), b = e.dequantized_at(3, -1);
  e.compute_quantized("MatMul", {a, b}, 6);
  return true;
}

// The bias counts in the product's scale, times alpha, which ONNX's Gemm keeps for the product.
bool gemm(Expansion& e) {
  const std::string a = e.dequantized_at(0),
                    b = e.dequantized_at(3, e.integer("transB", 0) != 0 ? 0 : 1);
  const std::string c = e.has(6) ? e.dequantized(6, e.product(e.input(1), e.input(4)), "", -1) : "";
  if (const Attribute* alpha = e.find("alpha")) {
    Attribute beta = *alpha;
    beta.name = "beta";
    e.more.push_back(std::move(beta));
  }
  e.compute_quantized("Gemm", {a, b, c}, 7);
  return true;
}

bool binary(Expansion& e, const char* op) {
  const std::string a = e.dequantized_at(0), b = e.dequantized_at(3);
  e.compute_quantized(op, {a, b}, 6);
  return true;
}
bool add(Expansion& e) { return binary(e, "Add"); }
bool mul(Expansion& e) { return binary(e, "Mul"); }

bool unary(Expansion& e, const char* op, std::initializer_list<std::string_view> dropped = {}) {
  if (channels_last(e)) return false;
  e.compute_quantized(op, {e.dequantized_at(0)}, 3, dropped);
  return true;
}
bool sigmoid(Expansion& e) { return unary(e, "Sigmoid"); }
bool leaky_relu(Expansion& e) { return unary(e, "LeakyRelu"); }
bool average_pool(Expansion& e) { return unary(e, "AveragePool", {"channels_last"}); }
bool global_average_pool(Expansion& e) { return unary(e, "GlobalAveragePool", {"channels_last"}); }
bool reduce_mean(Expansion& e) { return unary(e, "ReduceMean"); }
// Its `opset` says which Softmax is meant; along the last axis they agree.
bool softmax(Expansion& e) { return e.integer("axis", -1) == -1 && unary(e, "Softmax", {"opset"}); }

bool concat(Expansion& e) {
  std::vector<std::string> parts;
  for (size_t i = 2; i + 2 < e.inputs().size(); i += 3) parts.push_back(e.dequantized_at(i));
  e.compute_quantized("Concat", std::move(parts), 0);
  return true;
}

// x and w as they are, less their zero points: in units of their scales, which the graph multiplies
// by afterwards.
bool integer_product(Expansion& e, const char* op, int64_t a_axis, int64_t b_axis) {
  const std::string one = e.number(1);
  const std::string a = e.dequantized(0, one, e.input(2), a_axis),
                    b = e.dequantized(1, one, e.input(3), b_axis);
  e.compute(op, {a, b}, e.result());
  return true;
}
bool conv_integer(Expansion& e) { return integer_product(e, "Conv", 1, 0); }
bool matmul_integer(Expansion& e) { return integer_product(e, "MatMul", -2, -1); }

bool product_to_float(Expansion& e, const std::string& a, const std::string& b,
                      const std::string& bias) {
  if (bias.empty()) {
    e.compute("MatMul", {a, b}, e.result());
    return true;
  }
  const std::string product = e.result() + "/product";
  e.compute("MatMul", {a, b}, product);
  e.compute("Add", {product, bias}, e.result());
  return true;
}
bool matmul_integer_to_float(Expansion& e) {
  return product_to_float(e, e.dequantized(0, e.input(2), e.input(4), -2),
                          e.dequantized(1, e.input(3), e.input(5), -1), e.input(6));
}
bool dynamic_matmul(Expansion& e) {
  e.add("DynamicQuantizeLinear", {e.input(0)}, "quantized");
  const std::string q = e.last().outputs[0], scale = q + "/scale", zero = q + "/zero";
  e.last().outputs = {q, scale, zero};
  const std::string a = e.add("DequantizeLinear", {q, scale, zero}, "float");
  return product_to_float(e, a, e.dequantized(1, e.input(2), e.input(3), -1), e.input(4));
}

struct Form {
  const char *domain, *op;
  bool (*expand)(Expansion& e);
};
constexpr const char* kMicrosoft = "com.microsoft";
constexpr Form kForms[] = {
    {"", "QLinearConv", conv},
    {"", "QLinearMatMul", matmul},
    {"", "ConvInteger", conv_integer},
    {"", "MatMulInteger", matmul_integer},
    {kMicrosoft, "QLinearConv", conv},
    {kMicrosoft, "QLinearMatMul", matmul},
    {kMicrosoft, "QGemm", gemm},
    {kMicrosoft, "QLinearAdd", add},
    {kMicrosoft, "QLinearMul", mul},
    {kMicrosoft, "QLinearConcat", concat},
    {kMicrosoft, "QLinearSigmoid", sigmoid},
    {kMicrosoft, "QLinearLeakyRelu", leaky_relu},
    {kMicrosoft, "QLinearSoftmax", softmax},
    {kMicrosoft, "QLinearReduceMean", reduce_mean},
    {kMicrosoft, "QLinearAveragePool", average_pool},
    {kMicrosoft, "QLinearGlobalAveragePool", global_average_pool},
    {kMicrosoft, "MatMulIntegerToFloat", matmul_integer_to_float},
    {kMicrosoft, "DynamicQuantizeMatMul", dynamic_matmul},
};

}  // namespace

int64_t expand_quantized_operators(std::vector<Node>& nodes, QuantizedForms forms) {
  int64_t expanded = 0;
  std::vector<Node> out;
  for (Node& node : nodes) {
    // onnxruntime's own name for them reaches 16 and 4 bits; 8 are ONNX's.
    if (node.domain == kMicrosoft &&
        (node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear"))
      node.domain.clear();
    const auto* form = std::find_if(std::begin(kForms), std::end(kForms), [&](const Form& f) {
      return node.domain == f.domain && node.op_type == f.op &&
             (forms == QuantizedForms::all || node.domain == kMicrosoft);
    });
    const size_t before = out.size();
    if (form != std::end(kForms) && !node.outputs.empty()) {
      Expansion expansion(node, out);
      if (form->expand(expansion)) {
        ++expanded;
        continue;
      }
      out.resize(before);
    }
    out.push_back(std::move(node));
  }
  nodes = std::move(out);
  return expanded;
}

}  // namespace graft::models::graph
