// The tensors of an ONNX model as weights: initializers, and the values of Constant nodes under
// their outputs' names.
#include "graft/io/weights/onnx_weights.h"

#include "graft/io/onnx/model.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io {
namespace {

// The value of a Constant node (ONNX operator "Constant"), undefined when it is text.
Tensor constant_value(const onnx::Node& node) {
  if (const auto* value = node.find("value"); value && !value->tensors.empty())
    return value->tensors[0].value;
  if (const auto* value = node.find("value_float")) return Tensor::of<float>({}, {value->f});
  if (const auto* value = node.find("value_int")) return Tensor::of<int64_t>({}, {value->i});
  if (const auto* value = node.find("value_floats"))
    return Tensor::of({static_cast<int64_t>(value->floats.size())}, value->floats);
  if (const auto* value = node.find("value_ints"))
    return Tensor::of({static_cast<int64_t>(value->ints.size())}, value->ints);
  return {};
}

}  // namespace

WeightFile onnx_weights(onnx::Model model) {
  return in_context(model.path, [&] {
    WeightFile result;
    result.path = model.path;
    result.format = "onnx";
    result.roots = {""};
    result.metadata = std::move(model.metadata);
    result.metadata.emplace("producer_name", model.producer_name);
    result.metadata.emplace("producer_version", model.producer_version);
    result.notes = std::move(model.notes);
    for (onnx::NamedTensor& tensor : model.graph.initializers)
      if (tensor.value.defined())
        result.tensors.add(std::move(tensor.name), std::move(tensor.value));
    for (const onnx::Node& node : model.graph.nodes) {
      if (node.op_type != "Constant" || !node.domain.empty() || node.outputs.size() != 1) continue;
      if (Tensor value = constant_value(node))
        result.tensors.add(node.outputs[0], std::move(value));
    }
    return result;
  });
}

}  // namespace graft::io
