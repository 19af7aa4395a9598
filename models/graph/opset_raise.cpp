#include "graft/models/graph/opset_raise.h"

#include <algorithm>
#include <string_view>

#include "graft/core/base/error.h"
#include "graft/models/onnx_export.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::Node;

struct Since {
  std::string_view op;
  int64_t opset;
};

// The opset from which on a node means what it means in opset 17, for the inputs and attributes it
// then could have. Reference: https://github.com/onnx/onnx/blob/main/docs/Changelog.md
constexpr Since kUnchanged[] = {
    {"Abs", 7},
    {"Add", 7},
    {"And", 7},
    {"ArgMax", 7},
    {"ArgMin", 7},
    {"AveragePool", 7},
    {"BatchNormalization", 9},
    {"Cast", 9},
    {"Ceil", 7},
    {"Clip", 11},
    {"Concat", 7},
    {"Constant", 7},
    {"ConstantOfShape", 9},
    {"Conv", 7},
    {"ConvTranspose", 7},
    {"CumSum", 11},
    {"DepthToSpace", 7},
    {"Div", 7},
    {"Dropout", 12},
    {"Einsum", 12},
    {"Elu", 7},
    {"Equal", 7},
    {"Erf", 9},
    {"Exp", 7},
    {"Expand", 8},
    {"Flatten", 7},
    {"Floor", 7},
    {"Gather", 7},
    {"GatherElements", 11},
    {"GatherND", 12},
    {"Gemm", 7},
    {"GlobalAveragePool", 7},
    {"GlobalMaxPool", 7},
    {"Greater", 7},
    {"GreaterOrEqual", 12},
    {"HardSigmoid", 7},
    {"HardSwish", 14},
    {"Identity", 7},
    {"InstanceNormalization", 7},
    {"LRN", 7},
    {"LayerNormalization", 17},
    {"LeakyRelu", 7},
    {"Less", 7},
    {"LessOrEqual", 12},
    {"Log", 7},
    {"MatMul", 7},
    {"Max", 8},
    {"MaxPool", 7},
    {"Mean", 8},
    {"Min", 8},
    {"Mul", 7},
    {"Neg", 7},
    {"Not", 7},
    {"Or", 7},
    {"PRelu", 7},
    {"Pad", 11},
    {"Pow", 7},
    {"Range", 11},
    {"Reciprocal", 7},
    {"ReduceMax", 7},
    {"ReduceMean", 7},
    {"ReduceMin", 7},
    {"ReduceSum", 13},
    {"Relu", 7},
    {"Reshape", 7},
    {"Resize", 11},
    {"Selu", 7},
    {"Shape", 7},
    {"Sigmoid", 7},
    {"Sign", 9},
    {"Slice", 10},
    {"Softmax", 13},
    {"LogSoftmax", 13},
    {"Softplus", 7},
    {"Softsign", 7},
    {"SpaceToDepth", 7},
    {"Split", 13},
    {"Sqrt", 7},
    {"Squeeze", 13},
    {"Sub", 7},
    {"Sum", 8},
    {"Tanh", 7},
    {"Tile", 7},
    {"TopK", 10},
    {"Transpose", 7},
    {"Unsqueeze", 13},
    {"Where", 9},
};

bool is_unchanged(const Node& node, int64_t opset) {
  return std::any_of(std::begin(kUnchanged), std::end(kUnchanged), [&](const Since& known) {
    return known.op == node.op_type && opset >= known.opset;
  });
}

class Raiser {
 public:
  explicit Raiser(io::onnx::Graph& graph) : graph_(graph) {}

  bool raise(Node& node, int64_t opset) {
    const std::string& op = node.op_type;
    if (!node.domain.empty()) return false;
    if (is_unchanged(node, opset)) return true;
    if (op == "Squeeze" || op == "Unsqueeze" || op == "ReduceSum")
      return integers(node, "axes", 1), true;
    if (op == "Split") return integers(node, "split", 1), true;
    if (op == "BatchNormalization") return node.outputs.size() == 1 && drop(node, "spatial", 1);
    if (op == "Dropout") return real(node, "ratio", 1, 0.5F, true), true;
    if (op == "Clip") return real(node, "min", 1), real(node, "max", 2), true;
    if (op == "Pad") return integers(node, "pads", 1), real(node, "value", 2), true;
    if (op == "Slice")
      return integers(node, "starts", 1), integers(node, "ends", 2), integers(node, "axes", 3),
             true;
    if (op == "Softmax" || op == "LogSoftmax")
      return node.find("axis") && node.find("axis")->i == -1;
    if (op == "Upsample") return upsample(node);
    return false;
  }

 private:
  void give(Node& node, size_t input, const char* what, Tensor value) {
    const std::string name = str(kOnnxConstantPrefix, node.outputs.at(0), ".", what);
    graph_.initializers.push_back({name, {}, {}, std::move(value), {}});
    if (node.inputs.size() <= input) node.inputs.resize(input + 1);
    node.inputs[input] = name;
  }
  static void erase(Node& node, std::string_view attribute) {
    std::erase_if(node.attributes, [&](const Attribute& a) { return a.name == attribute; });
  }
  static bool drop(Node& node, const char* attribute, int64_t only) {
    const Attribute* a = node.find(attribute);
    if (a && a->i != only) return false;
    erase(node, attribute);
    return true;
  }

  void integers(Node& node, const char* attribute, size_t input) {
    const Attribute* a = node.find(attribute);
    if (!a) return;
    give(node, input, attribute, Tensor::of<int64_t>({std::ssize(a->ints)}, a->ints));
    erase(node, attribute);
  }
  void real(Node& node, const char* attribute, size_t input, float otherwise = 0,
            bool always = false) {
    const Attribute* a = node.find(attribute);
    if (!a && !always) return;
    give(node, input, attribute, Tensor::of<float>({}, std::vector<float>{a ? a->f : otherwise}));
    erase(node, attribute);
  }

  // Upsample takes the pixel at floor(y / scale): Resize with asymmetric coordinates.
  bool upsample(Node& node) {
    if (const Attribute* scales = node.find("scales")) {
      give(node, 1, "scales", Tensor::of<float>({std::ssize(scales->floats)}, scales->floats));
      erase(node, "scales");
    }
    if (node.inputs.size() != 2) return false;
    node.op_type = "Resize";
    node.inputs = {node.inputs[0], "", node.inputs[1]};
    node.attributes.push_back({.name = "coordinate_transformation_mode",
                               .type = AttributeType::string,
                               .s = "asymmetric"});
    node.attributes.push_back(
        {.name = "nearest_mode", .type = AttributeType::string, .s = "floor"});
    return true;
  }

  io::onnx::Graph& graph_;
};

}  // namespace

bool raise_opset(io::onnx::Graph& graph, int64_t opset) {
  if (opset < 7) return false;
  io::onnx::Graph raised = graph;
  Raiser raiser(raised);
  for (Node& node : raised.nodes)
    if (!raiser.raise(node, opset)) return false;
  graph = std::move(raised);
  return true;
}

}  // namespace graft::models
