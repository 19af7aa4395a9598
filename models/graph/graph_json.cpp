// A graph as JSON in a model's card, and edits of its plain data.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "graft/core/tensor/state_dict.h"
#include "graft/io/json.h"
#include "graft/models/graph/graph_config.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::Node;
using nlohmann::json;

constexpr const char* kRoles[] = {"parameter", "buffer", "constant"};
constexpr int64_t kMostElements = 1024;  // of a tensor within an attribute

DType dtype_named(const std::string& name) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i64, DType::i32,
                            DType::i8, DType::u8, DType::boolean})
    if (name == name_of(dtype)) return dtype;
  bad_input("the card's graph has a tensor of ", name);
}

std::vector<int64_t> extents_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

// JSON has no infinities: they are texts.
json json_of_real(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

template <class T>
json json_of_reals(const std::vector<T>& values) {
  json list = json::array();
  for (const T value : values) list.push_back(json_of_real(value));
  return list;
}

double real_from(const json& j) {
  if (j.is_number()) return j.get<double>();
  for (const double value : {HUGE_VAL, -HUGE_VAL, std::nan("")})
    if (j == json_of_real(value)) return value;
  bad_input("the card's graph has ", j.dump().substr(0, 40), " where a number belongs");
}

int64_t integer_from(const json& j) {
  const bool fits =
      j.is_number_integer() &&
      (!j.is_number_unsigned() || j.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  GRAFT_CHECK(fits, "the card's graph has ", j.dump().substr(0, 40),
              " where a whole number belongs");
  return j.get<int64_t>();
}

template <class T>
std::vector<T> list_from(const json& j, T (*one)(const json&)) {
  GRAFT_CHECK(j.is_array(), "the card's graph has ", j.dump().substr(0, 40),
              " where a list of numbers belongs");
  std::vector<T> list;
  for (const json& value : j) list.push_back(one(value));
  return list;
}

float float_from(const json& j) { return static_cast<float>(real_from(j)); }

json json_of_attribute(const Attribute& a) {
  switch (a.type) {
    case AttributeType::float_: return {{"f", json_of_real(a.f)}};
    case AttributeType::int_: return {{"i", a.i}};
    case AttributeType::string: return {{"s", a.s}};
    case AttributeType::floats: return {{"floats", json_of_reals(a.floats)}};
    case AttributeType::ints: return {{"ints", a.ints}};
    case AttributeType::strings: return {{"strings", a.strings}};
    case AttributeType::tensor: {
      const Tensor& t = a.tensors.at(0).value;
      GRAFT_CHECK(t.defined() && t.numel() <= kMostElements, "the attribute ", a.name,
                  " holds a tensor that a card cannot store");
      if (t.dtype() == DType::i64)
        return {
            {"tensor",
             {{"dtype", "int64"},
              {"shape", extents_of(t.shape())},
              {"values", std::vector<int64_t>(t.data<int64_t>(), t.data<int64_t>() + t.numel())}}}};
      return {{"tensor",
               {{"dtype", std::string(name_of(t.dtype()))},
                {"shape", extents_of(t.shape())},
                {"values", json_of_reals(t.to_doubles())}}}};
    }
    default: bad_input("the attribute ", a.name, " is of a kind that a card cannot store");
  }
}

Shape shape_from(const json& j) { return Shape(list_from(j, integer_from)); }

Attribute attribute_from(const std::string& name, const json& j) {
  Attribute a;
  a.name = name;
  GRAFT_CHECK(j.is_object() && j.size() == 1, "the card's graph has a damaged attribute ", name);
  const std::string kind = j.begin().key();
  const json& value = j.begin().value();
  if (kind == "f")
    a.type = AttributeType::float_, a.f = float_from(value);
  else if (kind == "i")
    a.type = AttributeType::int_, a.i = integer_from(value);
  else if (kind == "s")
    a.type = AttributeType::string, a.s = value.get<std::string>();
  else if (kind == "floats")
    a.type = AttributeType::floats, a.floats = list_from(value, float_from);
  else if (kind == "ints")
    a.type = AttributeType::ints, a.ints = list_from(value, integer_from);
  else if (kind == "strings")
    a.type = AttributeType::strings, a.strings = value.get<std::vector<std::string>>();
  else if (kind == "tensor") {
    a.type = AttributeType::tensor;
    const DType dtype = dtype_named(value.at("dtype").get<std::string>());
    const Shape shape = shape_from(value.at("shape"));
    GRAFT_CHECK(shape.numel() <= kMostElements, "the card's graph has too large an attribute ",
                name);
    a.tensors.emplace_back();
    if (dtype == DType::i64)
      a.tensors[0].value = Tensor::of(shape, list_from(value.at("values"), integer_from));
    else
      a.tensors[0].value = Tensor::of(shape, list_from(value.at("values"), real_from)).to(dtype);
  } else
    bad_input("the card's graph has an attribute of the kind ", kind);
  return a;
}

json json_of_node(const Node& node) {
  json attributes = json::object();
  for (const Attribute& a : node.attributes) attributes[a.name] = json_of_attribute(a);
  json j = {{"op", node.op_type},
            {"name", node.name},
            {"in", node.inputs},
            {"out", node.outputs},
            {"attributes", attributes}};
  if (!node.domain.empty()) j["domain"] = node.domain;
  return j;
}

Node node_from(const json& j) {
  Node node;
  node.op_type = j.at("op").get<std::string>();
  node.name = j.at("name").get<std::string>();
  node.inputs = j.at("in").get<std::vector<std::string>>();
  node.outputs = j.at("out").get<std::vector<std::string>>();
  if (j.contains("domain")) node.domain = j.at("domain").get<std::string>();
  for (const auto& [name, attribute] : j.at("attributes").items())
    node.attributes.push_back(attribute_from(name, attribute));
  return node;
}

}  // namespace

std::string graph_to_json(const GraphSource& source) {
  json j = json::object();
  j["opsets"] = source.opsets;
  j["outputs"] = source.outputs;
  j["stage_ends"] = source.stage_ends;
  j["inputs"] = json::array();
  for (const GraphInput& input : source.inputs)
    j["inputs"].push_back({{"name", input.name},
                           {"dtype", std::string(name_of(input.dtype))},
                           {"dims", input.has_shape ? json(input.dims) : json()}});
  j["nodes"] = json::array();
  for (const Node& node : source.nodes) j["nodes"].push_back(json_of_node(node));
  j["tensors"] = json::array();
  for (const GraphTensor& t : source.tensors)
    j["tensors"].push_back({{"name", t.name},
                            {"role", kRoles[static_cast<size_t>(t.role)]},
                            {"dtype", std::string(name_of(t.dtype))},
                            {"shape", extents_of(t.shape)}});
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

GraphSource graph_from_json(const std::string& text) {
  io::check_json(text, "the card's graph");
  try {
    const auto j = json::parse(text);
    GraphSource source;
    for (const auto& [domain, version] : j.at("opsets").items())
      source.opsets[domain] = integer_from(version);
    source.outputs = j.at("outputs").get<std::vector<std::string>>();
    source.stage_ends = j.at("stage_ends").get<std::vector<std::string>>();
    for (const json& input : j.at("inputs")) {
      GraphInput& read = source.inputs.emplace_back();
      read.name = input.at("name").get<std::string>();
      read.dtype = dtype_named(input.at("dtype").get<std::string>());
      read.has_shape = !input.at("dims").is_null();
      if (read.has_shape) read.dims = list_from(input.at("dims"), integer_from);
    }
    for (const json& node : j.at("nodes")) source.nodes.push_back(node_from(node));
    for (const json& tensor : j.at("tensors")) {
      GraphTensor& read = source.tensors.emplace_back();
      read.name = tensor.at("name").get<std::string>();
      const auto role = tensor.at("role").get<std::string>();
      const auto found = std::find(std::begin(kRoles), std::end(kRoles), role);
      GRAFT_CHECK(found != std::end(kRoles), "the card's graph has a tensor of the role ", role);
      read.role = static_cast<TensorRole>(found - std::begin(kRoles));
      read.dtype = dtype_named(tensor.at("dtype").get<std::string>());
      read.shape = shape_from(tensor.at("shape"));
    }
    return source;
  } catch (const json::exception& error) {
    bad_input("the card's graph cannot be read: ", error.what());
  }
}

GraphSource cut_graph(const GraphSource& source, const std::string& value) {
  GraphSource cut = source;
  std::unordered_set<std::string> used{value};
  std::vector<Node> kept;
  for (size_t i = cut.nodes.size(); i-- > 0;) {
    Node& node = cut.nodes[i];
    if (std::none_of(node.outputs.begin(), node.outputs.end(),
                     [&](const std::string& output) { return used.contains(output); }))
      continue;
    used.insert(node.inputs.begin(), node.inputs.end());
    kept.push_back(std::move(node));
  }
  std::reverse(kept.begin(), kept.end());
  cut.nodes = std::move(kept);
  cut.outputs = {value};
  std::erase_if(cut.tensors, [&](const GraphTensor& t) { return !used.contains(t.name); });
  std::erase_if(cut.stage_ends, [&](const std::string& end) { return !used.contains(end); });
  return cut;
}

GraphSource without_values(const GraphSource& source) {
  GraphSource bare = source;
  for (GraphTensor& t : bare.tensors) t.value = Tensor();
  return bare;
}

GraphSource with_values(const GraphSource& source, const StateDict& tensors) {
  GraphSource filled = source;
  std::vector<std::string> faults;
  for (GraphTensor& t : filled.tensors) {
    t.value = tensors.find(t.name);
    if (!t.value.defined())
      faults.push_back("missing: " + t.name);
    else if (t.value.shape() != t.shape || t.value.dtype() != t.dtype)
      faults.push_back(str(t.name, " is ", name_of(t.value.dtype()), " ", t.value.shape(),
                           ", expected ", name_of(t.dtype), " ", t.shape));
  }
  GRAFT_CHECK(faults.empty(), "the tensors do not fit the graph: ", join(faults, "; "));
  return filled;
}

}  // namespace graft::models
