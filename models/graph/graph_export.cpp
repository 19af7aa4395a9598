#include "graft/models/graph/graph_export.h"

#include <algorithm>
#include <unordered_set>

#include "graft/core/autograd/record.h"
#include "graft/models/graph/opset_raise.h"
#include "graft/models/onnx_export.h"

namespace graft::models {
namespace {

using io::onnx::ElementType;
using io::onnx::Node;
using io::onnx::ValueInfo;

ElementType element_of(DType dtype) {
  switch (dtype) {
    case DType::f64: return ElementType::float64;
    case DType::bf16: return ElementType::bfloat16;
    case DType::f16: return ElementType::float16;
    case DType::i64: return ElementType::int64;
    case DType::i32: return ElementType::int32;
    case DType::i8: return ElementType::int8;
    case DType::u8: return ElementType::uint8;
    case DType::boolean: return ElementType::boolean;
    case DType::f32: break;
  }
  return ElementType::float32;
}

// An axis of less than one entry is open: "N" in front, else `symbol` and its number.
ValueInfo info_of(const std::string& name, DType dtype, const std::vector<int64_t>& dims,
                  const char* symbol) {
  ValueInfo info;
  info.name = name;
  info.type = element_of(dtype);
  info.has_shape = true;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    const bool open = dims[axis] <= 0;
    info.dims.push_back(
        {open ? -1 : dims[axis], open ? (axis == 0 ? "N" : str(symbol, axis)) : ""});
  }
  return info;
}

class Appender {
 public:
  explicit Appender(io::onnx::Graph& graph) : graph_(graph) {
    for (const ValueInfo& input : graph.inputs) used_.insert(input.name);
    for (const auto& tensor : graph.initializers) used_.insert(tensor.name);
    for (const Node& node : graph.nodes) used_.insert(node.outputs.begin(), node.outputs.end());
  }

  // A node on `value`; the name of its result.
  std::string operator()(const char* op, const std::string& value, std::string name,
                         std::vector<std::string> weights = {},
                         std::vector<io::onnx::Attribute> attributes = {}) {
    while (!used_.insert(name).second) name += "_";
    Node node;
    node.op_type = op;
    node.name = name;
    node.inputs = {value};
    node.inputs.insert(node.inputs.end(), weights.begin(), weights.end());
    node.outputs = {name};
    node.attributes = std::move(attributes);
    graph_.nodes.push_back(std::move(node));
    return name;
  }

 private:
  io::onnx::Graph& graph_;
  std::unordered_set<std::string> used_;
};

io::onnx::Attribute whole_number(const char* name, int64_t value) {
  return {.name = name, .type = io::onnx::AttributeType::int_, .i = value};
}

// The shape of the graph's own result, before pool and head.
Shape result_shape(GraphModule& network, const ModelCard& card) {
  const NoGradGuard no_grad;
  network.train(false);
  const Tensor images[] = {card.preprocess.zeros(1)};
  return network.run(images).at(0).shape();
}

}  // namespace

void export_graph(GraphModule& network, const ModelCard& card, io::onnx::Model& model) {
  const auto& config = std::get<GraphConfig>(card.architecture);
  const GraphSource& source = *config.source;
  const auto own = source.opsets.find("");
  const int64_t opset = own == source.opsets.end() ? kWrittenOpset : own->second;
  model.graph.nodes = source.nodes;
  GRAFT_CHECK(source.inputs.size() == 1, "the graph has ", source.inputs.size(),
              " inputs, expected one image");
  const GraphInput& input = source.inputs[0];
  std::vector<int64_t> dims =
      input.has_shape ? input.dims : std::vector<int64_t>{-1, card.preprocess.channels, -1, -1};
  // A model trained on other sides than the source's takes those.
  const int64_t sides[] = {card.preprocess.size, card.preprocess.input_width()};
  for (size_t axis = 2; axis < std::min<size_t>(dims.size(), 4); ++axis)
    if (dims[axis] > 0) dims[axis] = sides[axis - 2];
  model.graph.inputs = {info_of(input.name, input.dtype, dims, "side")};
  for (const auto& [name, tensor] : network.state_dict())
    model.graph.initializers.push_back({name, {}, {}, tensor, {}});
  const bool raised = opset < kWrittenOpset && raise_opset(model.graph, opset);
  for (const auto& [domain, version] : source.opsets)
    model.opsets.push_back({domain, domain.empty() && raised ? kWrittenOpset : version});
  if (own == source.opsets.end()) model.opsets.push_back({"", kWrittenOpset});

  const Shape shape = result_shape(network, card);
  Appender append(model.graph);
  std::string value = source.outputs.at(0);
  const bool spatial = shape.rank() > 2, one_pixel = shape.rank() == 4 && shape[2] * shape[3] == 1;
  if ((config.own_head || config.pooled) && spatial)
    value = append("Flatten", append("GlobalAveragePool", value, "pool"), "pool.flat", {},
                   {whole_number("axis", 1)});
  else if (!config.own_head && !config.pooled && one_pixel)
    value = append("Flatten", value, "features", {}, {whole_number("axis", 1)});
  if (config.own_head)
    value = append("Gemm", value, "logits", {str(kGraphHead, ".weight"), str(kGraphHead, ".bias")},
                   {whole_number("transB", 1)});
  std::vector<int64_t> result{dims[0], config.own_head ? config.classes : shape[1]};
  const bool open_sides = std::find_if(dims.begin() + 1, dims.end(),
                                       [](int64_t side) { return side <= 0; }) != dims.end();
  for (int axis = 2; axis < shape.rank() && value == source.outputs[0]; ++axis)
    result.push_back(open_sides ? -1 : shape[axis]);
  model.graph.outputs = {info_of(value, DType::f32, result, "map")};
}

}  // namespace graft::models
