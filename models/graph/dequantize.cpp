#include "graft/models/graph/dequantize.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "graft/core/base/error.h"
#include "graft/models/graph/element_type.h"
#include "graft/models/graph/op_call.h"

namespace graft::models::graph {
namespace {

using io::onnx::Node;

// What stands for a quantized value: a float one, whose integers would count in `scale` from
// `zero` ("" is 0).
struct Shadow {
  std::string real, scale, zero;
};

// What gives the same of float values as of their integers: it moves them, or takes the largest.
bool moves_values(const Node& node) {
  static const std::set<std::string_view> operators = {
      "MaxPool",      "GlobalMaxPool", "Reshape",   "Flatten",  "Transpose",
      "Squeeze",      "Concat",        "Unsqueeze", "Slice",    "Gather",
      "DepthToSpace", "SpaceToDepth",  "Expand",    "Identity", "Split",
      "Tile",         "ReduceMax",     "ReduceMin", "Pad",      "Resize"};
  return node.domain.empty() && operators.contains(node.op_type);
}

class Dequantizer {
 public:
  Dequantizer(std::vector<Node>& nodes, Constants& constants, const ElementTypes& types,
              int64_t opset)
      : nodes_(nodes), constants_(constants), types_(types), opset_(opset) {}

  Dequantized operator()() {
    std::vector<Node> kept;
    for (Node& node : nodes_) {
      if (node.inputs.empty() || node.outputs.empty()) {
        kept.push_back(std::move(node));
        continue;
      }
      try {
        if (node.op_type == "DynamicQuantizeLinear" && node.outputs.size() == 3)
          pass_dynamic(node);
        else if (node.op_type == "QuantizeLinear")
          clip(node, kept);
        else if (node.op_type == "DequantizeLinear" && shadow_of(node.inputs.at(0)))
          pass(node, kept);
        else if (reads_quantized(node))
          move(node, kept);
        else
          kept.push_back(std::move(node));
      } catch (const Error& error) {
        throw error.with_context(title_of(node));
      }
    }
    nodes_ = std::move(kept);
    return done_;
  }

 private:
  const Shadow* shadow_of(const std::string& name) const {
    const auto found = shadows_.find(name);
    return found == shadows_.end() ? nullptr : &found->second;
  }
  bool reads_quantized(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](const std::string& input) { return shadow_of(input) != nullptr; });
  }
  static std::string input(const Node& node, size_t i) {
    return i < node.inputs.size() ? node.inputs[i] : "";
  }
  const Tensor& constant(const std::string& name, const char* what) const {
    const auto found = constants_.find(name);
    GRAFT_CHECK(found != constants_.end(), "its ", what, " '", name,
                "' is computed from the graph's inputs; the graph cannot be read in float");
    return found->second;
  }
  std::vector<double> numbers(const std::string& name) const {
    return name.empty() ? std::vector<double>{0} : constant(name, "zero point").to_doubles();
  }
  // Whether two names hold the same numbers.
  bool same(const std::string& a, const std::string& b) const {
    return a == b || numbers(a) == numbers(b);
  }

  // The range follows the values: nothing saturates. In units of 1 from 0, so that what the graph
  // makes of the scale is a constant.
  void pass_dynamic(const Node& node) {
    shadows_[node.outputs[0]] = {node.inputs.at(0), node.outputs[1], node.outputs[2]};
    constants_[node.outputs[1]] = Tensor::scalar(1);
    constants_[node.outputs[2]] = Tensor::scalar(0, DType::u8);
    ++done_.dynamic;
  }

  // An attribute before opset 11, an input since.
  void limit(Node& clip, const char* attribute, const std::string& name, double value) {
    if (opset_ >= 11) {
      constants_[name] = Tensor::scalar(value);
      clip.inputs.push_back(name);
      return;
    }
    io::onnx::Attribute a;
    a.name = attribute;
    a.type = io::onnx::AttributeType::float_;
    a.f = static_cast<float>(value);
    clip.attributes.push_back(std::move(a));
  }

  // The least and the most that a quantizer's integers can be. Graft keeps 16 bits in int32: of
  // them the file's own type tells.
  std::pair<double, double> range_of(const Node& node, const std::string& zero) const {
    using io::onnx::ElementType;
    const auto* wanted = node.find("output_dtype");
    ElementType type =
        wanted && wanted->i != 0 ? static_cast<ElementType>(wanted->i) : ElementType::uint8;
    if (const auto found = types_.find(zero); !zero.empty() && found != types_.end())
      type = found->second;
    else if (!zero.empty())
      type = constants_.at(zero).dtype() == DType::i8   ? ElementType::int8
             : constants_.at(zero).dtype() == DType::u8 ? ElementType::uint8
                                                        : ElementType::undefined;
    switch (type) {
      case ElementType::uint8: return {0, 255};
      case ElementType::int8: return {-128, 127};
      case ElementType::uint16: return {0, 65535};
      case ElementType::int16: return {-32768, 32767};
      default:
        bad_input("it quantizes to ", io::onnx::name_of(type),
                  "; integers of 8 and of 16 bits are read in float");
    }
  }

  void clip(Node& node, std::vector<Node>& kept) {
    const std::string scale_name = input(node, 1), zero_name = input(node, 2);
    const Tensor& scale = constant(scale_name, "scale");
    const std::vector<double> zero = numbers(zero_name);
    GRAFT_CHECK(scale.numel() == 1 && zero.size() == 1, "it quantizes values with ", scale.numel(),
                " scales, one a channel; graft reads one scale for all in float");
    const auto [least, most] = range_of(node, zero_name);
    const double s = scale.to_doubles()[0];
    GRAFT_CHECK(s > 0, "a scale of ", s);
    const std::string out = node.outputs.at(0);
    Node clip;
    clip.name = node.name;
    clip.op_type = "Clip";
    clip.inputs = {node.inputs.at(0)};
    limit(clip, "min", out + "/low", (least - zero[0]) * s);
    limit(clip, "max", out + "/high", (most - zero[0]) * s);
    clip.outputs = {out + "/clipped"};
    shadows_[out] = {clip.outputs[0], scale_name, zero_name};
    kept.push_back(std::move(clip));
    ++done_.clips;
  }

  void pass(Node& node, std::vector<Node>& kept) {
    const Shadow& shadow = *shadow_of(node.inputs[0]);
    GRAFT_CHECK(same(shadow.scale, input(node, 1)) && same(shadow.zero, input(node, 2)),
                "it reads its integers with another scale or zero point than they were made with");
    node.op_type = "Identity";
    node.domain.clear();
    node.attributes.clear();
    node.inputs = {shadow.real};
    kept.push_back(std::move(node));
  }

  // The integer that a Pad puts around its values, as the number that it stands for.
  void fill_with_real(Node& node, const Shadow& shadow) {
    const auto* mode = node.find("mode");
    if (mode && mode->s != "constant") return;
    const std::vector<double> fill_with =
        input(node, 2).empty() ? std::vector<double>{0} : numbers(node.inputs[2]);
    GRAFT_CHECK(!fill_with.empty(), "its value to fill with is empty");
    const double integer = fill_with[0];
    const std::string fill = node.outputs.at(0) + "/fill";
    constants_[fill] = Tensor::scalar((integer - numbers(shadow.zero).at(0)) *
                                      constant(shadow.scale, "scale").to_doubles().at(0));
    node.inputs.resize(std::max<size_t>(node.inputs.size(), 3));
    node.inputs[2] = fill;
  }

  void move(Node& node, std::vector<Node>& kept) {
    GRAFT_CHECK(moves_values(node),
                "it computes on quantized values, which graft cannot read in "
                "float here");
    const size_t values = node.op_type == "Concat" ? node.inputs.size() : 1;
    const Shadow* first = shadow_of(node.inputs[0]);
    for (size_t i = 0; i < values; ++i) {
      const Shadow* shadow = shadow_of(node.inputs[i]);
      GRAFT_CHECK(shadow && same(first->scale, shadow->scale) && same(first->zero, shadow->zero),
                  "it joins values of different scales");
    }
    const Shadow common = *first;
    if (node.op_type == "Pad") fill_with_real(node, common);
    for (std::string& input : node.inputs)
      if (const Shadow* shadow = shadow_of(input)) input = shadow->real;
    for (std::string& output : node.outputs) {
      if (output.empty()) continue;
      const std::string real = output + "/float";
      shadows_[output] = {real, common.scale, common.zero};
      output = real;
    }
    kept.push_back(std::move(node));
  }

  std::vector<Node>& nodes_;
  Constants& constants_;
  const ElementTypes& types_;
  int64_t opset_;
  std::unordered_map<std::string, Shadow> shadows_;
  Dequantized done_;
};

}  // namespace

Dequantized dequantize(std::vector<Node>& nodes, Constants& constants, const ElementTypes& types,
                       int64_t opset) {
  return Dequantizer(nodes, constants, types, opset)();
}

namespace {

// w with every output channel, or column, times its factor; undefined when they do not fit.
Tensor scaled(const Tensor& w, const Tensor& factor, bool is_conv) {
  if (w.rank() < 2 || !is_floating(w.dtype())) return Tensor();
  const std::vector<double> f = factor.to_doubles();
  const int64_t columns = is_conv ? w.size(0) : w.size(w.rank() - 1);
  if (factor.numel() != 1 &&
      (is_conv || factor.numel() != columns || factor.shape()[factor.rank() - 1] != columns))
    return Tensor();
  std::vector<double> numbers = w.to_doubles();
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] *= f.size() == 1 ? f[0] : f[i % f.size()];
  return Tensor::of(w.shape(), numbers).to(DType::f32);
}

}  // namespace

void absorb_scales(std::vector<Node>& nodes, Constants& constants,
                   const std::vector<std::string>& outputs) {
  std::unordered_map<std::string, int> readers;
  std::unordered_map<std::string, Node*> makers;
  for (const std::string& output : outputs) ++readers[output];
  for (Node& node : nodes) {
    for (const std::string& input : node.inputs) ++readers[input];
    for (const std::string& output : node.outputs) makers[output] = &node;
  }
  for (Node& node : nodes) {
    if (node.op_type != "Mul" || node.inputs.size() != 2) continue;
    const bool second = constants.contains(node.inputs[1]);
    if (!second && !constants.contains(node.inputs[0])) continue;
    const std::string value = node.inputs[second ? 0 : 1], factor = node.inputs[second ? 1 : 0];
    std::string at = value;
    Node* product = nullptr;
    while (readers[at] == 1 && makers.contains(at)) {
      product = makers.at(at);
      if ((product->op_type != "Cast" && product->op_type != "Identity") || product->inputs.empty())
        break;
      at = product->inputs.at(0);
      product = nullptr;
    }
    if (!product || (product->op_type != "Conv" && product->op_type != "MatMul") ||
        product->inputs.size() != 2 || product->outputs.size() != 1 ||
        !constants.contains(product->inputs[1]) || readers[product->inputs[1]] != 1 ||
        !is_floating(constants.at(factor).dtype()))
      continue;
    Tensor& weight = constants.at(product->inputs[1]);
    const Tensor with_scale = scaled(weight, constants.at(factor), product->op_type == "Conv");
    if (!with_scale.defined()) continue;
    weight = with_scale;
    node.op_type = "Identity";
    node.inputs = {value};
  }
}

}  // namespace graft::models::graph
