// Inputs and attributes as in onnxruntime's ContribOperators.md.
#include "graft/models/graph/fused_operators.h"

#include <algorithm>
#include <iterator>
#include <numbers>

#include "graft/io/onnx/attributes.h"
#include "graft/models/graph/node_expansion.h"

namespace graft::models::graph {
namespace {

using io::onnx::Attribute;
using io::onnx::integers_attribute;
using io::onnx::Node;
using io::onnx::real_attribute;

// One fused node.
class Unfusing : public NodeExpansion {
 public:
  using NodeExpansion::NodeExpansion;

  float real(const char* name, float otherwise) const {
    const Attribute* a = find(name);
    return a ? a->f : otherwise;
  }
  std::string text(const char* name) const {
    const Attribute* a = find(name);
    return a ? a->s : "";
  }
  // `value` under the node's own name.
  void finish(const std::string& value) { give(value, 0); }
  void give(const std::string& value, size_t output) {
    if (output >= node_.outputs.size() || node_.outputs[output].empty()) return;
    for (Node& node : out_)
      for (std::string& name : node.outputs)
        if (name == value) return rename(value, node_.outputs[output]);
  }
  std::string added(const std::string& a, const std::string& b) {
    return a.empty() ? b : b.empty() ? a : add("Add", {a, b}, "sum");
  }
  bool wants(size_t output) const {
    return output < node_.outputs.size() && !node_.outputs[output].empty();
  }

 private:
  void rename(const std::string& from, const std::string& to) {
    for (Node& node : out_) {
      std::replace(node.outputs.begin(), node.outputs.end(), from, to);
      std::replace(node.inputs.begin(), node.inputs.end(), from, to);
    }
  }
};

// The activation that convolutions and products carry; false for one that is not known.
bool activate(Unfusing& e, const std::string& kind, const std::vector<float>& numbers,
              std::string& value) {
  const auto number = [&](size_t i, float otherwise) {
    return i < numbers.size() ? numbers[i] : otherwise;
  };
  if (kind.empty()) return true;
  if (kind == "Relu" || kind == "Sigmoid" || kind == "Tanh") {
    value = e.add(kind.c_str(), {value}, "activation");
  } else if (kind == "LeakyRelu") {
    value = e.add("LeakyRelu", {value}, "activation", {real_attribute("alpha", number(0, 0.01F))});
  } else if (kind == "HardSigmoid") {
    value =
        e.add("HardSigmoid", {value}, "activation",
              {real_attribute("alpha", number(0, 0.2F)), real_attribute("beta", number(1, 0.5F))});
  } else if (kind == "Clip" && numbers.size() == 2) {
    const std::string low = e.number(numbers[0]), high = e.number(numbers[1]);
    value = e.add("Clip", {value, low, high}, "activation");
  } else {
    return false;
  }
  return true;
}

std::vector<float> activation_params(const Unfusing& e) {
  const Attribute* a = e.find("activation_params");
  return a ? a->floats : std::vector<float>{};
}

// X, W, B, Z: the convolution, plus Z, then the activation.
bool convolve(Unfusing& e, bool channels_last) {
  std::string x = e.input(0);
  if (channels_last)
    x = e.add("Transpose", {x}, "first", {integers_attribute("perm", {0, 3, 1, 2})});
  std::string value = e.result() + "/convolved";
  e.compute("Conv", {x, e.input(1), e.input(2)}, value, {"activation", "activation_params"});
  if (channels_last)
    value = e.add("Transpose", {value}, "last", {integers_attribute("perm", {0, 2, 3, 1})});
  value = e.added(value, e.input(3));
  if (!activate(e, e.text("activation"), activation_params(e), value)) return false;
  e.finish(value);
  return true;
}
bool fused_conv(Unfusing& e) { return convolve(e, false); }
bool nhwc_conv(Unfusing& e) { return convolve(e, true); }

bool fused_gemm(Unfusing& e) {
  std::string value = e.result() + "/product";
  e.compute("Gemm", {e.input(0), e.input(1), e.input(2)}, value,
            {"activation", "activation_alpha", "activation_beta", "activation_gamma"});
  std::vector<float> numbers;
  for (const char* name : {"activation_alpha", "activation_beta"})
    if (const Attribute* a = e.find(name)) numbers.push_back(a->f);
  if (!activate(e, e.text("activation"), numbers, value)) return false;
  e.finish(value);
  return true;
}

bool fused_matmul(Unfusing& e) {
  for (const char* name : {"transA", "transB", "transBatchA", "transBatchB"})
    if (e.integer(name, 0) != 0) return false;
  const std::string product = e.add("MatMul", {e.input(0), e.input(1)}, "product");
  const float alpha = e.real("alpha", 1);
  e.finish(alpha == 1 ? product : e.add("Mul", {product, e.number(alpha)}, "scaled"));
  return true;
}

// x / 2 (1 + erf(x / sqrt 2)), in operators of every opset.
std::string gelu_of(Unfusing& e, const std::string& x) {
  const std::string root = e.number(std::numbers::sqrt2_v<float>);
  const std::string erf = e.add("Erf", {e.add("Div", {x, root}, "scaled")}, "erf");
  const std::string one_more = e.add("Add", {erf, e.number(1)}, "sum");
  return e.add("Mul", {e.add("Mul", {x, one_more}, "product"), e.number(0.5F)}, "half");
}
// Its approximation: x / 2 (1 + tanh(x (0.797885 + 0.035677 x^2))).
std::string tanh_gelu_of(Unfusing& e, const std::string& x) {
  const std::string square = e.add("Mul", {x, x}, "square");
  const std::string cubic = e.add("Mul", {square, e.number(0.035677408136300125F)}, "cubic");
  const std::string inner = e.add("Add", {cubic, e.number(0.7978845608028654F)}, "inner");
  const std::string tanh = e.add("Tanh", {e.add("Mul", {x, inner}, "argument")}, "tanh");
  const std::string one_more = e.add("Add", {tanh, e.number(1)}, "sum");
  return e.add("Mul", {e.add("Mul", {x, one_more}, "product"), e.number(0.5F)}, "half");
}
bool gelu(Unfusing& e) {
  e.finish(gelu_of(e, e.input(0)));
  return true;
}
bool bias_gelu(Unfusing& e) {
  e.finish(gelu_of(e, e.added(e.input(0), e.input(1))));
  return true;
}
bool fast_gelu(Unfusing& e) {
  e.finish(tanh_gelu_of(e, e.added(e.input(0), e.input(1))));
  return true;
}
bool quick_gelu(Unfusing& e) {
  const std::string scaled =
      e.add("Mul", {e.input(0), e.number(e.real("alpha", 1.702F))}, "scaled");
  e.finish(e.add("Mul", {e.input(0), e.add("Sigmoid", {scaled}, "gate")}, "product"));
  return true;
}

std::vector<Attribute> norm_attributes(const Unfusing& e, float eps) {
  return {integer_attribute("axis", -1), real_attribute("epsilon", e.real("epsilon", eps))};
}

// input, skip, gamma, beta, bias: the norm of the sum; the sum itself is output 3.
bool skip_layer_norm(Unfusing& e) {
  if (e.wants(1) || e.wants(2)) return false;
  const std::string sum = e.added(e.added(e.input(0), e.input(1)), e.input(4));
  std::vector<std::string> inputs{sum, e.input(2)};
  if (e.has(3)) inputs.push_back(e.input(3));
  e.finish(e.add("LayerNormalization", std::move(inputs), "norm", norm_attributes(e, 1e-5F)));
  e.give(sum, 3);
  return true;
}
// input, skip, gamma, bias.
bool skip_rms_norm(Unfusing& e) {
  if (e.wants(1) || e.wants(2)) return false;
  const std::string sum = e.added(e.added(e.input(0), e.input(1)), e.input(3));
  e.finish(e.add("RMSNormalization", {sum, e.input(2)}, "norm", norm_attributes(e, 1e-5F)));
  e.give(sum, 3);
  return true;
}
bool rms_norm(Unfusing& e) {
  if (e.wants(1)) return false;
  e.compute("RMSNormalization", e.inputs(), e.result());
  return true;
}
bool bias_add(Unfusing& e) {
  e.finish(e.added(e.added(e.input(0), e.input(1)), e.input(2)));
  return true;
}

struct FusedForm {
  const char *domain, *op;
  bool (*expand)(Unfusing& e);
};
constexpr const char* kContrib = "com.microsoft";
constexpr FusedForm kFusedForms[] = {
    {kContrib, "FusedConv", fused_conv},
    {kContrib, "NhwcFusedConv", nhwc_conv},
    {kContrib, "FusedGemm", fused_gemm},
    {kContrib, "FusedMatMul", fused_matmul},
    {kContrib, "TransposeMatMul", fused_matmul},
    {kContrib, "Gelu", gelu},
    {kContrib, "BiasGelu", bias_gelu},
    {kContrib, "FastGelu", fast_gelu},
    {kContrib, "QuickGelu", quick_gelu},
    {kContrib, "SkipLayerNormalization", skip_layer_norm},
    {kContrib, "SkipSimplifiedLayerNormalization", skip_rms_norm},
    {kContrib, "BiasAdd", bias_add},
    {"", "SimplifiedLayerNormalization", rms_norm},
};

}  // namespace

int64_t expand_fused_operators(std::vector<Node>& nodes) {
  int64_t expanded = 0;
  std::vector<Node> all;
  for (Node& node : nodes) {
    const auto* form = std::find_if(
        std::begin(kFusedForms), std::end(kFusedForms),
        [&](const FusedForm& f) { return node.domain == f.domain && node.op_type == f.op; });
    std::vector<Node> parts;
    if (form != std::end(kFusedForms) && !node.outputs.empty()) {
      Unfusing unfusing(node, parts);
      if (form->expand(unfusing)) {
        ++expanded;
        std::move(parts.begin(), parts.end(), std::back_inserter(all));
        continue;
      }
    }
    all.push_back(std::move(node));
  }
  nodes = std::move(all);
  return expanded;
}

}  // namespace graft::models::graph
