// ModelProto, GraphProto, NodeProto, AttributeProto, FunctionProto and the type messages. Field
// numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
#include <algorithm>

#include "graft/io/onnx/parser.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io::onnx {
namespace {

Graph parse_graph(Bytes bytes, ParseContext& context, int depth);

std::string without_default_domain(std::string domain) { return domain == "ai.onnx" ? "" : domain; }

ElementType element_type(int64_t number) {
  return static_cast<ElementType>(static_cast<int32_t>(number));
}

Dimension parse_dimension(Bytes bytes, ParseContext& context) {
  Dimension dimension;
  WireReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1) dimension.value = std::max<int64_t>(reader.integer(), -1);
    if (reader.field() == 2) dimension.symbol = take_text(reader, context);
  }
  return dimension;
}

void parse_tensor_type(Bytes bytes, ParseContext& context, ValueInfo& info) {
  WireReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1) info.type = element_type(reader.integer());
    if (reader.field() != 2) continue;
    info.has_shape = true;
    WireReader shape(reader.bytes());
    while (shape.next()) {
      if (shape.field() != 1) continue;
      GRAFT_CHECK(info.dims.size() < 64, "value '", info.name, "' has too many axes");
      context.budget.charge(sizeof(Dimension));
      info.dims.push_back(parse_dimension(shape.bytes(), context));
    }
  }
}

void parse_type(Bytes bytes, ParseContext& context, ValueInfo& info) {
  WireReader reader(bytes);
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        info.kind = "tensor";
        parse_tensor_type(reader.bytes(), context, info);
        break;
      case 4: info.kind = "sequence"; break;
      case 5: info.kind = "map"; break;
      case 8: info.kind = "sparse_tensor"; break;
      case 9: info.kind = "optional"; break;
      default: break;
    }
  }
}

ValueInfo parse_value_info(Bytes bytes, ParseContext& context) {
  context.budget.charge(sizeof(ValueInfo));
  ValueInfo info;
  info.kind.clear();
  WireReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1) info.name = take_text(reader, context);
    if (reader.field() == 2) parse_type(reader.bytes(), context, info);
  }
  return info;
}

// Old files leave the type out; the field that is there tells it.
AttributeType type_by_content(uint32_t field) {
  switch (field) {
    case 2: return AttributeType::float_;
    case 3: return AttributeType::int_;
    case 4: return AttributeType::string;
    case 5: return AttributeType::tensor;
    case 6: return AttributeType::graph;
    case 7: return AttributeType::floats;
    case 8: return AttributeType::ints;
    case 9: return AttributeType::strings;
    case 10: return AttributeType::tensors;
    case 11: return AttributeType::graphs;
    case 14: return AttributeType::type_proto;
    case 15: return AttributeType::type_protos;
    default: return AttributeType::undefined;
  }
}

// The fields with values; false for another field.
bool parse_attribute_value(WireReader& reader, ParseContext& context, Attribute& attribute,
                           int depth) {
  const auto owner = [&] { return str("attribute '", attribute.name, "'"); };
  switch (reader.field()) {
    case 2: attribute.f = reader.real32(); return true;
    case 3: attribute.i = reader.integer(); return true;
    case 4: attribute.s = take_text(reader, context); return true;
    case 5:
    case 10:
      attribute.tensors.push_back(parse_tensor_proto(reader.bytes(), context, owner()));
      return true;
    case 6:
    case 11:
      attribute.graphs.push_back(parse_graph(reader.bytes(), context, depth + 1));
      return true;
    case 7:
      reader.fixed<float>([&](float value) {
        context.budget.charge(sizeof(value));
        attribute.floats.push_back(value);
      });
      return true;
    case 8:
      reader.integers([&](int64_t value) {
        context.budget.charge(sizeof(value));
        attribute.ints.push_back(value);
      });
      return true;
    case 9: attribute.strings.push_back(take_text(reader, context)); return true;
    case 14:
    case 15: return true;  // a type: kept as the attribute's type only
    case 22:
    case 23: bad_input(owner(), " is a sparse tensor, which is not supported");
    default: return false;
  }
}

Attribute parse_attribute(Bytes bytes, ParseContext& context, int depth) {
  context.budget.charge(sizeof(Attribute));
  Attribute attribute;
  AttributeType by_content = AttributeType::undefined;
  WireReader reader(bytes);
  while (reader.next()) {
    const uint32_t field = reader.field();
    if (parse_attribute_value(reader, context, attribute, depth)) {
      by_content = type_by_content(field);
      continue;
    }
    if (field == 1) attribute.name = take_text(reader, context);
    if (field == 20)
      attribute.type = static_cast<AttributeType>(static_cast<int32_t>(reader.integer()));
    if (field == 21) attribute.reference = take_text(reader, context);
  }
  if (attribute.type == AttributeType::undefined) attribute.type = by_content;
  const bool lacks_value =
      (attribute.type == AttributeType::tensor && attribute.tensors.size() != 1) ||
      (attribute.type == AttributeType::graph && attribute.graphs.size() != 1);
  GRAFT_CHECK(!lacks_value || !attribute.reference.empty(), "attribute '", attribute.name,
              "' has not exactly one value");
  return attribute;
}

std::string label_of(const Node& node) {
  const std::string& label = !node.name.empty()      ? node.name
                             : !node.outputs.empty() ? node.outputs[0]
                                                     : node.op_type;
  return str("node '", label.substr(0, 200), "'");
}

Node parse_node(Bytes bytes, ParseContext& context, int depth) {
  GRAFT_CHECK(++context.nodes <= context.limits.nodes, "has more than ", context.limits.nodes,
              " nodes");
  context.budget.charge(sizeof(Node));
  Node node;
  WireReader reader(bytes);
  while (reader.next()) {
    switch (reader.field()) {
      case 1: node.inputs.push_back(take_text(reader, context)); break;
      case 2: node.outputs.push_back(take_text(reader, context)); break;
      case 3: node.name = take_text(reader, context); break;
      case 4: node.op_type = take_text(reader, context); break;
      case 5: {
        const Bytes attribute = reader.bytes();
        in_context(label_of(node),
                   [&] { node.attributes.push_back(parse_attribute(attribute, context, depth)); });
        break;
      }
      case 7: node.domain = without_default_domain(take_text(reader, context)); break;
      case 8: node.overload = take_text(reader, context); break;
      default: break;
    }
  }
  GRAFT_CHECK(!node.op_type.empty(), label_of(node), " has no operator type");
  return node;
}

Graph parse_graph(Bytes bytes, ParseContext& context, int depth) {
  GRAFT_CHECK(depth < context.limits.nesting, "its graphs are nested deeper than ",
              context.limits.nesting, " levels");
  context.budget.charge(sizeof(Graph));
  Graph graph;
  WireReader reader(bytes);
  while (reader.next()) {
    switch (reader.field()) {
      case 1: graph.nodes.push_back(parse_node(reader.bytes(), context, depth)); break;
      case 2: graph.name = take_text(reader, context); break;
      case 5:
        graph.initializers.push_back(parse_tensor_proto(reader.bytes(), context, "an initializer"));
        break;
      case 11: graph.inputs.push_back(parse_value_info(reader.bytes(), context)); break;
      case 12: graph.outputs.push_back(parse_value_info(reader.bytes(), context)); break;
      case 13: graph.value_infos.push_back(parse_value_info(reader.bytes(), context)); break;
      case 15: bad_input("has sparse initializers, which are not supported");
      default: break;
    }
  }
  return graph;
}

OperatorSet parse_operator_set(Bytes bytes, ParseContext& context) {
  context.budget.charge(sizeof(OperatorSet));
  OperatorSet set;
  WireReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1) set.domain = without_default_domain(take_text(reader, context));
    if (reader.field() == 2) set.version = reader.integer();
  }
  return set;
}

Function parse_function(Bytes bytes, ParseContext& context) {
  context.budget.charge(sizeof(Function));
  Function function;
  WireReader reader(bytes);
  while (reader.next()) {
    switch (reader.field()) {
      case 1: function.name = take_text(reader, context); break;
      case 4: function.inputs.push_back(take_text(reader, context)); break;
      case 5: function.outputs.push_back(take_text(reader, context)); break;
      case 6: function.attributes.push_back(take_text(reader, context)); break;
      case 7: function.nodes.push_back(parse_node(reader.bytes(), context, 0)); break;
      case 9: function.opsets.push_back(parse_operator_set(reader.bytes(), context)); break;
      case 10: function.domain = without_default_domain(take_text(reader, context)); break;
      case 11:
        function.default_attributes.push_back(parse_attribute(reader.bytes(), context, 0));
        break;
      case 13: function.overload = take_text(reader, context); break;
      default: break;
    }
  }
  return function;
}

void parse_metadata_entry(Bytes bytes, ParseContext& context,
                          std::map<std::string, std::string>& metadata) {
  context.budget.charge(100);
  WireReader reader(bytes);
  std::string key, value;
  while (reader.next()) {
    if (reader.field() == 1) key = take_text(reader, context);
    if (reader.field() == 2) value = take_text(reader, context);
  }
  metadata[key] = std::move(value);
}

}  // namespace

const Attribute* Node::find(const std::string& attribute) const {
  for (const Attribute& candidate : attributes)
    if (candidate.name == attribute) return &candidate;
  return nullptr;
}

Model parse_model_proto(Bytes bytes, ParseContext& context) {
  Model model;
  bool has_graph = false;
  WireReader reader(bytes);
  while (reader.next()) {
    switch (reader.field()) {
      case 1: model.ir_version = reader.integer(); break;
      case 2: model.producer_name = take_text(reader, context); break;
      case 3: model.producer_version = take_text(reader, context); break;
      case 4: model.domain = take_text(reader, context); break;
      case 5: model.model_version = reader.integer(); break;
      case 7:
        GRAFT_CHECK(!has_graph, "has two graphs");
        model.graph = parse_graph(reader.bytes(), context, 0);
        has_graph = true;
        break;
      case 8: model.opsets.push_back(parse_operator_set(reader.bytes(), context)); break;
      case 14: parse_metadata_entry(reader.bytes(), context, model.metadata); break;
      case 25: model.functions.push_back(parse_function(reader.bytes(), context)); break;
      default: break;
    }
  }
  GRAFT_CHECK(has_graph && model.ir_version >= 1, "is not a complete ONNX model: it has no ",
              has_graph ? "version" : "graph");
  return model;
}

}  // namespace graft::io::onnx
