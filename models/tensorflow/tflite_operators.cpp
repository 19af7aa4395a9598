#include "graft/models/tensorflow/tflite_operators.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "graft/models/naming/permuted.h"

namespace graft::models::tensorflow {
namespace {

using io::tflite::Operator;

struct Preparing {
  const Operator& op;
  Translation& t;
  Prepared& result;

  double number(const char* name) const {
    const auto found = op.options.numbers.find(name);
    return found == op.options.numbers.end() ? 0 : found->second;
  }
  int64_t whole(const char* name) const { return static_cast<int64_t>(number(name)); }
  Dims list(const char* name) const {
    const auto found = op.options.lists.find(name);
    return found == op.options.lists.end() ? Dims{} : found->second;
  }
  void set(const char* name, Dims numbers) const {
    result.attributes[name].integers = std::move(numbers);
  }
  void set_text(const char* name, std::string text) const {
    result.attributes[name].text = std::move(text);
  }
  const Item& item(size_t i) const {
    GRAFT_CHECK(i < result.inputs.size() && !result.inputs[i].empty(), "has no input ", i);
    return t.at(result.inputs[i]);
  }
  const Tensor& weight(size_t i) const {
    const Item& known = item(i);
    GRAFT_CHECK(known.is_constant() && known.constant.rank() == 4 &&
                    is_floating(known.constant.dtype()) && known.constant.numel() > 0,
                "its kernel is no constant of four axes");
    return known.constant;
  }
  // Input i becomes another tensor of the same name in the file.
  void replace(size_t i, const Tensor& tensor) const {
    Item turned = item(i);
    turned.constant = tensor;
    const std::string name = result.inputs[i] + "/" + op.name;
    t.charge(tensor.bytes());
    t.put(name, std::move(turned));
    result.inputs[i] = name;
  }
  void add_constant(const Dims& numbers, bool scalar) const {
    Item item;
    item.constant = Tensor::of<int64_t>({std::ssize(numbers)}, numbers);
    if (scalar) item.constant = item.constant.reshape(Shape(Dims{}));
    const std::string name = str("/", t.items.size());
    t.put(name, std::move(item));
    result.inputs.push_back(name);
  }
};

void plain(const Preparing& p) {
  for (const auto& [name, number] : p.op.options.numbers)
    p.result.attributes[name] = {{static_cast<int64_t>(number)}, number, ""};
  for (const auto& [name, list] : p.op.options.lists) p.set(name.c_str(), list);
}

void windows(const Preparing& p) {
  const int64_t padding = p.whole("padding");
  GRAFT_CHECK(padding == 0 || padding == 1, "its padding is ", padding);
  p.set_text("padding", padding == 0 ? "SAME" : "VALID");
  p.set("strides", {1, p.whole("stride_h"), p.whole("stride_w"), 1});
}

void dilations(const Preparing& p) {
  windows(p);
  p.set("dilations", {1, p.whole("dilation_h_factor"), p.whole("dilation_w_factor"), 1});
}

// [O,H,W,I]
void convolution(const Preparing& p) {
  dilations(p);
  p.replace(1, permuted(p.weight(1), {1, 2, 3, 0}));
}

// [1,H,W,C*multiplier]
void depthwise(const Preparing& p) {
  dilations(p);
  const Tensor& weight = p.weight(1);
  const Item& in = p.item(0);
  const int64_t channels = in.is_computed() && in.value.rank() == 4 ? in.value.dims[3] : 0;
  GRAFT_CHECK(weight.size(0) == 1 && channels > 0 && weight.size(3) % channels == 0, "its kernel ",
              weight.shape(), " does not fit ", channels, " channels");
  p.replace(1, weight.reshape(
                   Shape{weight.size(1), weight.size(2), channels, weight.size(3) / channels}));
}

// [O,H,W,I]
void transposed(const Preparing& p) {
  windows(p);
  p.replace(1, permuted(p.weight(1), {1, 2, 0, 3}));
}

void pool(const Preparing& p) {
  windows(p);
  p.set("ksize", {1, p.whole("filter_height"), p.whole("filter_width"), 1});
}

void fully_connected(const Preparing& p) {
  GRAFT_CHECK(p.whole("weights_format") == 0, "its weights are shuffled");
  GRAFT_CHECK(p.item(1).is_constant() && p.item(1).constant.rank() == 2,
              "its matrix is computed from the image");
  p.set("transpose_b", {1});
  p.set("flatten", {p.whole("keep_num_dims") == 0});
}

void concatenation(const Preparing& p) { p.add_constant({p.whole("axis")}, true); }

void reshape(const Preparing& p) {
  if (p.result.inputs.size() > 1 && !p.result.inputs[1].empty()) return;
  p.result.inputs.resize(1);
  p.add_constant(p.list("new_shape"), false);
}

void mirror(const Preparing& p) {
  p.set_text("mode", p.whole("mode") == 0 ? "REFLECT" : "SYMMETRIC");
}

void cast(const Preparing& p) {
  const int64_t to = p.whole("out_data_type");
  p.set("to_real", {to == 0 || to == 1});
}

struct Rule {
  const char* lite;
  const char* op;
  void (*prepare)(const Preparing&) = plain;
};

constexpr Rule kRules[] = {
    {"CONV_2D", "Conv2D", convolution},
    {"DEPTHWISE_CONV_2D", "DepthwiseConv2dNative", depthwise},
    {"TRANSPOSE_CONV", "Conv2DBackpropInput", transposed},
    {"FULLY_CONNECTED", "MatMul", fully_connected},
    {"AVERAGE_POOL_2D", "AvgPool", pool},
    {"MAX_POOL_2D", "MaxPool", pool},
    {"ADD", "AddV2"},
    {"SUB", "Sub"},
    {"MUL", "Mul"},
    {"DIV", "RealDiv"},
    {"POW", "Pow"},
    {"MAXIMUM", "Maximum"},
    {"MINIMUM", "Minimum"},
    {"SQUARED_DIFFERENCE", "SquaredDifference"},
    {"ADD_N", "AddN"},
    {"FLOOR_DIV", "FloorDiv"},
    {"RELU", "Relu"},
    {"RELU6", "Relu6"},
    {"RELU_N1_TO_1", "ReluN1To1"},
    {"RELU_0_TO_1", "Relu0To1"},
    {"PRELU", "Prelu"},
    {"LEAKY_RELU", "LeakyRelu"},
    {"HARD_SWISH", "HardSwish"},
    {"LOGISTIC", "Sigmoid"},
    {"TANH", "Tanh"},
    {"ELU", "Elu"},
    {"GELU", "Gelu"},
    {"SOFTMAX", "Softmax"},
    {"LOG_SOFTMAX", "LogSoftmax"},
    {"L2_NORMALIZATION", "L2Normalize"},
    {"EXP", "Exp"},
    {"LOG", "Log"},
    {"NEG", "Neg"},
    {"ABS", "Abs"},
    {"SQRT", "Sqrt"},
    {"RSQRT", "Rsqrt"},
    {"SQUARE", "Square"},
    {"FLOOR", "Floor"},
    {"CAST", "Cast", cast},
    {"DEQUANTIZE", "Dequantize"},
    {"QUANTIZE", "Identity"},
    {"MEAN", "Mean"},
    {"SUM", "Sum"},
    {"REDUCE_MAX", "Max"},
    {"REDUCE_MIN", "Min"},
    {"REDUCE_PROD", "Prod"},
    {"CONCATENATION", "ConcatV2", concatenation},
    {"RESHAPE", "Reshape", reshape},
    {"SQUEEZE", "Squeeze"},
    {"EXPAND_DIMS", "ExpandDims"},
    {"TRANSPOSE", "Transpose"},
    {"PAD", "Pad"},
    {"PADV2", "PadV2"},
    {"MIRROR_PAD", "MirrorPad", mirror},
    {"RESIZE_BILINEAR", "ResizeBilinear"},
    {"RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor"},
    {"SLICE", "Slice"},
    {"STRIDED_SLICE", "StridedSlice"},
    {"SPLIT", "Split"},
    {"SPLIT_V", "SplitV"},
    {"PACK", "Pack"},
    {"UNPACK", "Unpack"},
    {"BATCH_MATMUL", "BatchMatMulV2"},
    {"TILE", "Tile"},
    {"GATHER", "GatherV2"},
    {"SHAPE", "Shape"},
    {"RANK", "Rank"},
    {"FILL", "Fill"},
    {"SPACE_TO_BATCH_ND", "SpaceToBatchND"},
    {"BATCH_TO_SPACE_ND", "BatchToSpaceND"},
    {"SPACE_TO_DEPTH", "SpaceToDepth"},
    {"DEPTH_TO_SPACE", "DepthToSpace"},
};

const Rule* find_rule(const std::string& op) {
  for (const Rule& rule : kRules)
    if (op == rule.lite) return &rule;
  return nullptr;
}

}  // namespace

std::string lite_name(int64_t index) { return index < 0 ? "" : str("#", index); }

bool is_known_lite(const std::string& op) { return find_rule(op) != nullptr; }

Prepared prepare_lite(const Operator& op, Translation& translation) {
  const Rule* rule = find_rule(op.name);
  GRAFT_CHECK(rule, "is not known");
  Prepared result;
  result.op = rule->op;
  for (const int64_t input : op.inputs) result.inputs.push_back(lite_name(input));
  const Preparing preparing{op, translation, result};
  rule->prepare(preparing);
  constexpr std::array names = {"NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"};
  const int64_t fused = preparing.whole("fused_activation_function");
  GRAFT_CHECK(fused >= 0 && fused < std::ssize(names), "its fused activation is ", fused);
  result.activation = names[static_cast<size_t>(fused)];
  return result;
}

}  // namespace graft::models::tensorflow
