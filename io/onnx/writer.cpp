// A Model as the bytes of an .onnx file. Field numbers are onnx.proto's
// (https://github.com/onnx/onnx, IR version 8).
#include "graft/core/base/file_system.h"
#include "graft/io/onnx/model.h"
#include "graft/io/onnx/wire_writer.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io::onnx {
namespace {

ElementType element_type_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return ElementType::float32;
    case DType::f64: return ElementType::float64;
    case DType::f16: return ElementType::float16;
    case DType::bf16: return ElementType::bfloat16;
    case DType::i64: return ElementType::int64;
    case DType::i32: return ElementType::int32;
    case DType::i8: return ElementType::int8;
    case DType::u8: return ElementType::uint8;
    case DType::boolean: return ElementType::boolean;
  }
  fail(ErrorCode::internal, "a tensor of a type that ONNX does not have");
}

void write_tensor(WireWriter& out, uint32_t field, const NamedTensor& tensor) {
  WireWriter head;
  if (!tensor.strings.empty()) {
    for (const int64_t extent : tensor.dims) head.integer(1, extent);
    head.integer(2, static_cast<int64_t>(ElementType::string));
    for (const std::string& text : tensor.strings) head.text(6, text);
    head.text(8, tensor.name);
    return out.text(field, head.bytes());
  }
  GRAFT_CHECK(tensor.value.defined(), "the tensor '", tensor.name, "' has no value to write");
  const Tensor value = tensor.value.to(MemoryFormat::contiguous);
  for (const int64_t extent : value.shape()) head.integer(1, extent);
  head.integer(2, static_cast<int64_t>(element_type_of(value.dtype())));
  head.text(8, tensor.name);
  const auto size = static_cast<size_t>(value.bytes());
  head.begin_bytes(9, size);
  out.begin_bytes(field, head.bytes().size() + size);
  out.append(head.bytes().data(), head.bytes().size());
  out.append(bytes_of(value).data(), size);
}

WireWriter encode_graph(const Graph& graph);

WireWriter encode_attribute(const Attribute& a) {
  WireWriter out;
  out.text(1, a.name);
  switch (a.type) {
    case AttributeType::float_: out.real32(2, a.f); break;
    case AttributeType::int_: out.integer(3, a.i); break;
    case AttributeType::string: out.text(4, a.s); break;
    case AttributeType::tensor: write_tensor(out, 5, a.tensors.at(0)); break;
    case AttributeType::graph: out.text(6, encode_graph(a.graphs.at(0)).bytes()); break;
    case AttributeType::floats:
      for (const float value : a.floats) out.real32(7, value);
      break;
    case AttributeType::ints:
      for (const int64_t value : a.ints) out.integer(8, value);
      break;
    case AttributeType::strings:
      for (const std::string& value : a.strings) out.text(9, value);
      break;
    default: bad_input("the attribute '", a.name, "' is of a type that is not written");
  }
  out.integer(20, static_cast<int64_t>(a.type));
  if (!a.reference.empty()) out.text(21, a.reference);
  return out;
}

WireWriter encode_node(const Node& node) {
  WireWriter out;
  for (const std::string& input : node.inputs) out.text(1, input);
  for (const std::string& output : node.outputs) out.text(2, output);
  out.text(3, node.name);
  out.text(4, node.op_type);
  for (const Attribute& attribute : node.attributes)
    out.text(5, encode_attribute(attribute).bytes());
  if (!node.domain.empty()) out.text(7, node.domain);
  return out;
}

WireWriter encode_value_info(const ValueInfo& info) {
  GRAFT_CHECK(info.kind == "tensor", "the value '", info.name, "' is no tensor");
  WireWriter shape;
  for (const Dimension& dimension : info.dims) {
    WireWriter extent;
    if (dimension.value >= 0)
      extent.integer(1, dimension.value);
    else if (!dimension.symbol.empty())
      extent.text(2, dimension.symbol);
    shape.text(1, extent.bytes());
  }
  WireWriter tensor, type, out;
  tensor.integer(1, static_cast<int64_t>(info.type));
  if (info.has_shape) tensor.text(2, shape.bytes());
  type.text(1, tensor.bytes());
  out.text(1, info.name);
  out.text(2, type.bytes());
  return out;
}

WireWriter encode_graph(const Graph& graph) {
  WireWriter out;
  for (const Node& node : graph.nodes) out.text(1, encode_node(node).bytes());
  out.text(2, graph.name);
  for (const NamedTensor& tensor : graph.initializers) write_tensor(out, 5, tensor);
  for (const ValueInfo& info : graph.inputs) out.text(11, encode_value_info(info).bytes());
  for (const ValueInfo& info : graph.outputs) out.text(12, encode_value_info(info).bytes());
  for (const ValueInfo& info : graph.value_infos) out.text(13, encode_value_info(info).bytes());
  return out;
}

}  // namespace

void write_model(const std::string& path, const Model& model) {
  GRAFT_CHECK(model.functions.empty(), path, ": model-local functions are not written");
  WireWriter out;
  out.integer(1, model.ir_version);
  out.text(2, model.producer_name);
  out.text(3, model.producer_version);
  if (!model.domain.empty()) out.text(4, model.domain);
  if (model.model_version != 0) out.integer(5, model.model_version);
  for (const OperatorSet& set : model.opsets) {
    WireWriter entry;
    entry.text(1, set.domain);
    entry.integer(2, set.version);
    out.text(8, entry.bytes());
  }
  for (const auto& [key, value] : model.metadata) {
    WireWriter entry;
    entry.text(1, key);
    entry.text(2, value);
    out.text(14, entry.bytes());
  }
  const WireWriter graph = encode_graph(model.graph);
  constexpr size_t kMostBytes = (size_t{1} << 31) - 1;  // protobuf's limit for a message
  GRAFT_CHECK(graph.bytes().size() + out.bytes().size() < kMostBytes, path,
              ": an .onnx file holds less than 2 GiB; write .safetensors instead");
  out.begin_bytes(7, graph.bytes().size());
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(out.bytes())),
                                              std::as_bytes(std::span(graph.bytes()))};
  write_file_atomically(path, parts);
}

}  // namespace graft::io::onnx
