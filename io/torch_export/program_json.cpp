// An export archive's JSON: the schema's ExportedProgram, and the tables of its tensors. Each field
// is checked as it is taken.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/io/json.h"
#include "graft/io/torch_export/archive.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io {
namespace {

using Json = nlohmann::json;

// The one member of a union that is set: {"as_int": 3}.
struct Member {
  std::string name;
  const Json* value = nullptr;
};

constexpr int64_t kMostText = 100;  // of what a message repeats
constexpr size_t kMostNameBytes = 4096;

std::string shown(const Json& json) {
  return json.is_object()  ? "an object"
         : json.is_array() ? "a list"
                           : json.dump(-1, ' ', true).substr(0, kMostText);
}

Json parse_object(std::string_view text, const std::string& what) {
  check_json(text, what);
  try {
    Json json = Json::parse(text);
    GRAFT_CHECK(json.is_object(), what, " is no JSON object");
    return json;
  } catch (const Json::exception& error) {
    bad_input(what, " cannot be read as JSON: ", error.what());
  }
}

const Json* optional_field(const Json& object, const char* name) {
  GRAFT_CHECK(object.is_object(), shown(object), " stands where an object with '", name,
              "' belongs");
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json& field(const Json& object, const char* name) {
  const Json* found = optional_field(object, name);
  GRAFT_CHECK(found, "the field '", name, "' is missing");
  return *found;
}

const Json& object_at(const Json& object, const char* name) {
  const Json& found = field(object, name);
  GRAFT_CHECK(found.is_object(), "the field '", name, "' is no object");
  return found;
}

const Json& list_at(const Json& object, const char* name) {
  const Json& found = field(object, name);
  GRAFT_CHECK(found.is_array(), "the field '", name, "' is no list");
  return found;
}

std::string text_of(const Json& value) {
  GRAFT_CHECK(value.is_string(), shown(value), " stands where a text belongs");
  const auto& text = value.get_ref<const std::string&>();
  GRAFT_CHECK(text.size() <= kMostNameBytes, "a name of ", text.size(), " bytes");
  return text;
}

std::string text_at(const Json& object, const char* name) { return text_of(field(object, name)); }

int64_t integer_of(const Json& value) {
  const bool fits =
      value.is_number_integer() &&
      (!value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  GRAFT_CHECK(fits, shown(value), " stands where a whole number belongs");
  return value.get<int64_t>();
}

Member member_of(const Json& object) {
  GRAFT_CHECK(object.is_object(), shown(object), " stands where a value belongs");
  Member member;
  for (const auto& [name, value] : object.items()) {
    if (value.is_null()) continue;
    GRAFT_CHECK(!member.value, "a value is of two kinds, ", member.name, " and ", name);
    member = {name, &value};
  }
  GRAFT_CHECK(member.value, "a value is of no kind");
  return member;
}

// SymInts: {"as_int": 3} or {"as_expr": {...}}.
std::vector<int64_t> sizes_of(const Json& list) {
  std::vector<int64_t> sizes;
  for (const Json& size : list) {
    const Member member = member_of(size);
    GRAFT_CHECK(member.name == "as_int" || member.name == "as_expr", "a size is ", member.name);
    sizes.push_back(member.name == "as_int" ? integer_of(*member.value) : -1);
    GRAFT_CHECK(member.name == "as_expr" || sizes.back() >= 0, "a size of ", sizes.back());
  }
  return sizes;
}

ExportedMeta meta_of(const Json& json, const ReadLimits& limits) {
  ExportedMeta meta;
  meta.type = integer_of(field(json, "dtype"));
  meta.sizes = sizes_of(list_at(json, "sizes"));
  meta.strides = sizes_of(list_at(json, "strides"));
  GRAFT_CHECK(meta.sizes.size() <= 64 && meta.sizes.size() == meta.strides.size(), "a tensor of ",
              meta.sizes.size(), " sizes and ", meta.strides.size(), " strides");
  for (const int64_t size : meta.sizes) GRAFT_CHECK(size <= limits.extent, "a size of ", size);
  if (const Json* offset = optional_field(json, "storage_offset")) {
    const Member member = member_of(*offset);
    GRAFT_CHECK(member.name == "as_int" || member.name == "as_expr", "an offset is ", member.name);
    meta.offset = member.name == "as_int" ? integer_of(*member.value) : -1;
    GRAFT_CHECK(member.name == "as_expr" || meta.offset >= 0, "an offset of ", meta.offset);
  }
  const int64_t layout = integer_of(field(json, "layout"));
  GRAFT_CHECK(layout == 7, "a tensor of layout ", layout, "; dense ones (7) are read");
  return meta;
}

// JSON has no infinities: they are texts.
double real_of(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "Infinity") return HUGE_VAL;
  if (value == "-Infinity") return -HUGE_VAL;
  if (value == "NaN") return std::nan("");
  bad_input("something stands where a number belongs");
}

std::string name_in(const Json& object) { return text_at(object, "name"); }

void read_symbols(const Json& list, ExportedArgument& argument) {
  argument.kind = ExportedKind::integers;
  for (const Json& item : list) {
    const Member member = member_of(item);
    GRAFT_CHECK(member.name == "as_int" || member.name == "as_name", "a size is ", member.name);
    const bool number = member.name == "as_int";
    argument.integers.push_back(number ? integer_of(*member.value) : -1);
    argument.texts.push_back(number ? "" : text_of(*member.value));
  }
}

int64_t truth_of(const Json& value) {
  GRAFT_CHECK(value.is_boolean(), "something stands where true or false belongs");
  return value.get<bool>();
}

void read_tensors(const Json& list, ExportedArgument& argument) {
  argument.kind = ExportedKind::tensors;
  for (const Json& item : list) {
    if (argument.form == "as_tensors") {
      argument.texts.push_back(name_in(item));
      continue;
    }
    const Member member = member_of(item);
    argument.texts.push_back(member.name == "as_tensor" ? name_in(*member.value) : "");
  }
}

// Argument, a union. What graft has no use for keeps its kind's name only.
ExportedArgument argument_of(const Json& json) {
  const Member member = member_of(json);
  const Json& value = *member.value;
  ExportedArgument argument;
  argument.form = member.name;
  const auto& form = argument.form;
  const auto list = [&](ExportedKind kind, auto take) {
    GRAFT_CHECK(value.is_array(), form, " is no list");
    argument.kind = kind;
    for (const Json& item : value) take(item);
  };
  if (form == "as_none") return argument;
  if (form == "as_tensor") {
    argument.kind = ExportedKind::tensor;
    argument.texts = {name_in(value)};
  } else if (form == "as_optional_tensor") {
    const Member inner = member_of(value);
    if (inner.name != "as_tensor") return argument;
    argument.kind = ExportedKind::tensor;
    argument.texts = {name_in(*inner.value)};
  } else if (form == "as_tensors" || form == "as_optional_tensors") {
    GRAFT_CHECK(value.is_array(), form, " is no list");
    read_tensors(value, argument);
  } else if (form == "as_int" || form == "as_scalar_type" || form == "as_memory_format" ||
             form == "as_layout") {
    argument.kind = ExportedKind::integer;
    argument.integers = {integer_of(value)};
  } else if (form == "as_bool") {
    argument.kind = ExportedKind::integer;
    argument.integers = {truth_of(value)};
  } else if (form == "as_ints") {
    list(ExportedKind::integers,
         [&](const Json& item) { argument.integers.push_back(integer_of(item)); });
  } else if (form == "as_bools") {
    list(ExportedKind::integers,
         [&](const Json& item) { argument.integers.push_back(truth_of(item)); });
  } else if (form == "as_float") {
    argument.kind = ExportedKind::real;
    argument.reals = {real_of(value)};
  } else if (form == "as_floats") {
    list(ExportedKind::reals, [&](const Json& item) { argument.reals.push_back(real_of(item)); });
  } else if (form == "as_string") {
    argument.kind = ExportedKind::text;
    argument.texts = {text_of(value)};
  } else if (form == "as_sym_int" || form == "as_sym_float" || form == "as_sym_bool") {
    const Member inner = member_of(value);
    if (inner.name == "as_name") {
      argument.kind = ExportedKind::symbol;
      argument.texts = {text_of(*inner.value)};
    } else if (inner.name == "as_float") {
      argument.kind = ExportedKind::real;
      argument.reals = {real_of(*inner.value)};
    } else {
      argument.kind = ExportedKind::integer;
      argument.integers = {inner.name == "as_bool" ? truth_of(*inner.value)
                                                   : integer_of(*inner.value)};
    }
  } else if (form == "as_sym_ints") {
    GRAFT_CHECK(value.is_array(), form, " is no list");
    read_symbols(value, argument);
  } else {
    argument.kind = ExportedKind::other;
    argument.texts = {form};
  }
  return argument;
}

// "L__self__,,torchvision.ResNet;L__self___layer1,layer1,...": the path of the last entry.
std::string innermost_module(const Json& node) {
  const Json* metadata = optional_field(node, "metadata");
  const Json* found = metadata && metadata->is_object() && metadata->contains("nn_module_stack")
                          ? &(*metadata)["nn_module_stack"]
                          : nullptr;
  if (!found || !found->is_string()) return "";
  std::string_view stack = found->get_ref<const std::string&>();
  stack = stack.substr(stack.rfind(';') + 1);
  const size_t first = stack.find(','), second = stack.find(',', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return "";
  std::string_view path = stack.substr(first + 1, second - first - 1);
  path = path.substr(0, path.find('@'));  // a module that was called before: "layer1.0.relu@1"
  return path.size() <= 1000 ? std::string(path) : "";
}

ExportedNode node_of(const Json& json) {
  ExportedNode node;
  node.target = text_at(json, "target");
  node.module = innermost_module(json);
  for (const Json& input : list_at(json, "inputs")) {
    ExportedArgument argument = argument_of(field(input, "arg"));
    argument.name = name_in(input);
    node.inputs.push_back(std::move(argument));
  }
  for (const Json& output : list_at(json, "outputs")) {
    ExportedArgument argument = argument_of(output);
    if (argument.kind == ExportedKind::tensor || argument.kind == ExportedKind::symbol ||
        argument.kind == ExportedKind::tensors)
      node.outputs.insert(node.outputs.end(), argument.texts.begin(), argument.texts.end());
    else
      node.outputs.emplace_back();
  }
  if (const Json* name = optional_field(json, "name"))
    node.name = text_of(*name);
  else
    for (const std::string& output : node.outputs)
      if (node.name.empty()) node.name = output;
  return node;
}

// The value that an input spec is about: {"arg": {"name": N}} or {"arg": {"as_tensor": {...}}}.
std::string value_in(const Json& spec) {
  const Json& arg = object_at(spec, "arg");
  if (arg.contains("name")) return name_in(arg);
  const ExportedArgument argument = argument_of(arg);
  return argument.kind == ExportedKind::tensor ? argument.texts[0] : "";
}

ExportedInput input_of(const Json& json) {
  const Member spec = member_of(json);
  const auto stored = [&](ExportedRole role, const char* target) {
    return ExportedInput{value_in(*spec.value), role, text_at(*spec.value, target)};
  };
  if (spec.name == "parameter") return stored(ExportedRole::parameter, "parameter_name");
  if (spec.name == "buffer") return stored(ExportedRole::buffer, "buffer_name");
  if (spec.name == "tensor_constant") return stored(ExportedRole::constant, "tensor_constant_name");
  GRAFT_CHECK(spec.name == "user_input", "the program takes an input of the kind ", spec.name,
              ", which is not supported");
  const std::string value = value_in(*spec.value);
  GRAFT_CHECK(!value.empty(), "the program takes an input that is no tensor");
  return {value, ExportedRole::user, ""};
}

void read_signature(const Json& signature, ExportedProgram& program) {
  for (const Json& spec : list_at(signature, "input_specs"))
    program.inputs.push_back(input_of(spec));
  for (const Json& json : list_at(signature, "output_specs")) {
    const Member spec = member_of(json);
    if (spec.name == "user_output" || spec.name == "loss_output")
      program.outputs.push_back(value_in(*spec.value));
    else if (spec.name == "buffer_mutation")
      program.mutated.push_back(text_at(*spec.value, "buffer_name"));
    else
      bad_input("the program has an output of the kind ", spec.name, ", which is not supported");
  }
}

void read_version(const Json& json, ExportedProgram& program) {
  const Json& version = object_at(json, "schema_version");
  program.schema_major = integer_of(field(version, "major"));
  program.schema_minor = integer_of(field(version, "minor"));
  const Json* torch = optional_field(json, "torch_version");
  program.torch_version = torch ? text_of(*torch) : "<=2.4";
  GRAFT_CHECK(program.schema_major == kExportSchemaMajor, "its schema has the version ",
              program.schema_major, ".", program.schema_minor, " (written by torch ",
              program.torch_version, "); graft reads version ", kExportSchemaMajor);
  if (program.schema_minor > kExportSchemaMinor)
    program.notes.push_back(str("the archive's schema ", program.schema_major, ".",
                                program.schema_minor, " is later than the ", kExportSchemaMajor,
                                ".", kExportSchemaMinor, " that graft was tried with"));
}

void read_values(const Json& values, ExportedProgram& program, const ReadLimits& limits) {
  for (const auto& [name, meta] : values.items()) {
    try {
      program.values.emplace(name, meta_of(meta, limits));
    } catch (const Error& error) {
      throw error.with_context(str("value '", name.substr(0, 100), "'"));
    }
  }
}

}  // namespace

int64_t ExportedMeta::free_axes() const { return std::count(sizes.begin(), sizes.end(), -1); }

int ExportedMeta::free_axis() const {
  if (free_axes() != 1) return -1;
  return static_cast<int>(std::find(sizes.begin(), sizes.end(), -1) - sizes.begin());
}

ExportedProgram parse_exported_program(std::string_view text, const ReadLimits& limits) {
  const Json json = parse_object(text, "its graph");
  ExportedProgram program;
  read_version(json, program);
  const Json& module = object_at(json, "graph_module");
  const Json& graph = object_at(module, "graph");
  read_signature(object_at(module, "signature"), program);
  read_values(object_at(graph, "tensor_values"), program, limits);
  const Json& nodes = list_at(graph, "nodes");
  GRAFT_CHECK(static_cast<int64_t>(nodes.size()) <= limits.nodes, "has more than ", limits.nodes,
              " nodes");
  for (const Json& node : nodes) {
    try {
      program.nodes.push_back(node_of(node));
    } catch (const Error& error) {
      throw error.with_context(str("node ", program.nodes.size()));
    }
  }
  return program;
}

std::vector<ExportedTensor> parse_tensor_table(std::string_view text, const std::string& what,
                                               const ReadLimits& limits) {
  const Json json = parse_object(text, what);
  std::vector<ExportedTensor> tensors;
  for (const auto& [name, payload] : object_at(json, "config").items()) {
    GRAFT_CHECK(static_cast<int64_t>(name.size()) <= limits.name_bytes &&
                    static_cast<int64_t>(tensors.size()) < limits.tensors,
                what, " has too many tensors, or too long a name");
    in_context(str("tensor '", name, "'"), [&, &name = name, &payload = payload] {
      ExportedTensor tensor{name, text_at(payload, "path_name"), false, {}};
      const Json& pickled = field(payload, "use_pickle");
      tensor.pickled = pickled.is_boolean() && pickled.get<bool>();
      if (!tensor.pickled) tensor.meta = meta_of(field(payload, "tensor_meta"), limits);
      tensors.push_back(std::move(tensor));
    });
  }
  return tensors;
}

}  // namespace graft::io
