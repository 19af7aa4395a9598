#include "graft/models/aten/aten_call.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/checked_math.h"

namespace graft::models::aten {

using io::ExportedKind;
using io::onnx::NamedTensor;

namespace {

struct TypePair {
  int64_t scalar, onnx;
  DType dtype;
};
constexpr TypePair kTypes[] = {{1, 2, DType::u8},     {2, 3, DType::i8},   {3, 6, DType::i32},
                               {4, 6, DType::i32},    {5, 7, DType::i64},  {6, 10, DType::f16},
                               {7, 1, DType::f32},    {8, 11, DType::f64}, {12, 9, DType::boolean},
                               {13, 16, DType::bf16}, {28, 6, DType::i32}};

const TypePair& type_pair(int64_t scalar) {
  for (const TypePair& pair : kTypes)
    if (pair.scalar == scalar) return pair;
  bad_input("a value has the element type ", scalar,
            " of PyTorch's export, which is not supported");
}

}  // namespace

int64_t onnx_type(int64_t scalar) { return type_pair(scalar).onnx; }
DType tensor_type(int64_t scalar) { return type_pair(scalar).dtype; }
bool is_floating_type(int64_t scalar) { return is_floating(type_pair(scalar).dtype); }

std::string Building::unique(std::string name) {
  if (names.insert(name).second) return name;
  std::string other;
  do other = str(name, "_", ++fresh);
  while (!names.insert(other).second);
  return other;
}

const ExportedMeta& Building::meta(const std::string& value) const {
  const auto found = program.values.find(value);
  GRAFT_CHECK(found != program.values.end(), "the program does not describe its value '", value,
              "'");
  return found->second;
}

int Building::batch_axis(const std::string& value) const {
  const int free = meta(value).free_axis();
  if (free >= 0) return free;
  const auto found = known.find(value);
  return found == known.end() ? kNoBatch : found->second.batch;
}

const ExportedArgument* AtenCall::find(const char* name) const {
  for (const ExportedArgument& argument : node_.inputs)
    if (argument.name == name) return argument.kind == ExportedKind::none ? nullptr : &argument;
  return nullptr;
}

const ExportedArgument& AtenCall::at(size_t position) const {
  GRAFT_CHECK(position < node_.inputs.size(), "has ", node_.inputs.size(), " arguments");
  return node_.inputs[position];
}

bool AtenCall::is_tensor(const char* name) const {
  const ExportedArgument* argument = find(name);
  return argument && argument->kind == ExportedKind::tensor;
}

const std::string& AtenCall::program_name(const char* name) const {
  GRAFT_CHECK(is_tensor(name), "its argument '", name, "' is no tensor");
  return find(name)->texts[0];
}

std::string AtenCall::value_of(const std::string& name) {
  const auto found = b_.known.find(name);
  GRAFT_CHECK(found != b_.known.end(), "nothing before it gives its input '", name, "'");
  GRAFT_CHECK(!found->second.stale, "its input '", name,
              "' was changed in place through another view of the same memory, which graft does "
              "not follow");
  return found->second.value;
}

std::string AtenCall::tensor(const char* name) { return value_of(program_name(name)); }
std::string AtenCall::optional_tensor(const char* name) {
  return find(name) ? tensor(name) : std::string();
}

std::vector<std::string> AtenCall::program_names(const char* name) const {
  const ExportedArgument* argument = find(name);
  GRAFT_CHECK(argument && argument->kind == ExportedKind::tensors, "its argument '", name,
              "' is no list of tensors");
  return argument->texts;
}

int64_t AtenCall::integer(const char* name, std::optional<int64_t> otherwise) const {
  const ExportedArgument* argument = find(name);
  if (!argument && otherwise) return *otherwise;
  GRAFT_CHECK(argument && argument->kind == ExportedKind::integer, "its argument '", name,
              "' is no whole number");
  return argument->integers[0];
}

bool AtenCall::flag(const char* name, bool otherwise) const {
  return integer(name, otherwise) != 0;
}

double AtenCall::real(const char* name, std::optional<double> otherwise) const {
  const ExportedArgument* argument = find(name);
  if (!argument && otherwise) return *otherwise;
  if (argument && argument->kind == ExportedKind::integer)
    return static_cast<double>(argument->integers[0]);
  GRAFT_CHECK(argument && argument->kind == ExportedKind::real, "its argument '", name,
              "' is no number");
  return argument->reals[0];
}

std::string AtenCall::text(const char* name, const std::string& otherwise) const {
  const ExportedArgument* argument = find(name);
  if (!argument) return otherwise;
  GRAFT_CHECK(argument->kind == ExportedKind::text, "its argument '", name, "' is no text");
  return argument->texts[0];
}

std::vector<int64_t> AtenCall::integers(const char* name, std::vector<int64_t> otherwise,
                                        size_t count) const {
  const ExportedArgument* argument = find(name);
  std::vector<int64_t> values = otherwise;
  if (argument && argument->kind == ExportedKind::integer) {
    values = argument->integers;
  } else if (argument) {
    // An empty list has no kind of its own: torch writes it as one of tensors, or of numbers.
    const bool empty = argument->kind == ExportedKind::tensors && argument->texts.empty();
    GRAFT_CHECK(empty || argument->kind == ExportedKind::integers, "its argument '", name,
                "' is no list of whole numbers");
    values = argument->integers;
    for (size_t i = 0; i < argument->texts.size(); ++i)
      GRAFT_CHECK(argument->texts[i].empty(), "its argument '", name,
                  "' depends on the size of the input");
    if (values.empty()) values = otherwise;
  }
  if (count > 0 && values.size() == 1) values.resize(count, values[0]);
  GRAFT_CHECK(count == 0 || values.size() == count, "its argument '", name, "' has ", values.size(),
              " numbers, expected ", count);
  return values;
}

int64_t AtenCall::axis(const char* name, int rank, std::optional<int64_t> otherwise) const {
  const int64_t given = integer(name, otherwise), most = std::max(rank, 1);
  GRAFT_CHECK(given >= -most && given < most, "axis ", given, " of a tensor of ", rank, " axes");
  return given < 0 ? given + most : given;
}

const ExportedMeta& AtenCall::result(size_t output) const {
  GRAFT_CHECK(output < node_.outputs.size() && !node_.outputs[output].empty(), "has no result");
  return b_.meta(node_.outputs[output]);
}

int64_t AtenCall::size(const char* name, int axis) const {
  const ExportedMeta& of = meta(name);
  GRAFT_CHECK(axis < static_cast<int>(of.sizes.size()) && of.sizes[static_cast<size_t>(axis)] >= 0,
              "the size of axis ", axis, " of its input is not fixed by the program");
  return of.sizes[static_cast<size_t>(axis)];
}

std::vector<std::string> AtenCall::add_several(const char* op, std::vector<std::string> inputs,
                                               size_t outputs, std::vector<Attribute> attributes) {
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  io::onnx::Node node;
  node.op_type = op;
  node.inputs = std::move(inputs);
  for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(b_.unique(node_.name + "/" + op));
  node.name = node.outputs[0];
  node.attributes = std::move(attributes);
  b_.model.graph.nodes.push_back(std::move(node));
  return b_.model.graph.nodes.back().outputs;
}

std::string AtenCall::add(const char* op, std::vector<std::string> inputs,
                          std::vector<Attribute> attributes) {
  return add_several(op, std::move(inputs), 1, std::move(attributes))[0];
}

std::string AtenCall::constant(const Tensor& value) {
  NamedTensor tensor;
  tensor.name = b_.unique(node_.name + "/constant");
  tensor.value = value;
  tensor.dims.assign(value.shape().begin(), value.shape().end());
  b_.model.graph.initializers.push_back(std::move(tensor));
  return b_.model.graph.initializers.back().name;
}

std::string AtenCall::numbers(const std::vector<int64_t>& values) {
  return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

static void check_number(double value, int64_t type) {
  const double most = type == 1 ? 255 : type == 2 ? 127 : type == 5 ? 0x1p62 : 0x1p30;
  GRAFT_CHECK(is_floating_type(type) || (std::abs(value) <= most && (type != 1 || value >= 0)),
              "the number ", value, " as an integer");
}

std::string AtenCall::number(double value, int64_t type) {
  check_number(value, type);
  return constant(Tensor::full(Shape(), value, {.dtype = type_pair(type).dtype}));
}

std::string AtenCall::cast(const std::string& value, int64_t type) {
  return add("Cast", {value}, {io::onnx::integer_attribute("to", onnx_type(type))});
}

std::string AtenCall::filled(const std::string& shape, double value, int64_t type) {
  check_number(value, type);
  NamedTensor tensor;
  tensor.value = Tensor::full({1}, value, {.dtype = tensor_type(type)});
  tensor.type = static_cast<io::onnx::ElementType>(onnx_type(type));
  tensor.dims = {1};
  Attribute a;
  a.name = "value";
  a.type = io::onnx::AttributeType::tensor;
  a.tensors = {std::move(tensor)};
  return add("ConstantOfShape", {shape}, {std::move(a)});
}

std::string AtenCall::size_value(const ExportedArgument& one) {
  if (one.kind == ExportedKind::symbol) return value_of(one.texts[0]);
  GRAFT_CHECK(one.kind == ExportedKind::integer, "a size is no whole number");
  return numbers({one.integers[0]});
}

std::string AtenCall::sizes_value(const ExportedArgument& list) {
  GRAFT_CHECK(list.kind == ExportedKind::integers, "a list of sizes is none");
  if (std::all_of(list.texts.begin(), list.texts.end(),
                  [](const std::string& text) { return text.empty(); }))
    return numbers(list.integers);
  std::vector<std::string> parts;
  for (size_t i = 0; i < list.integers.size(); ++i)
    parts.push_back(list.texts[i].empty() ? numbers({list.integers[i]}) : value_of(list.texts[i]));
  return add("Concat", parts, {io::onnx::integer_attribute("axis", 0)});
}

void AtenCall::finish(const std::string& value, size_t output) {
  if (output >= node_.outputs.size() || node_.outputs[output].empty()) return;
  Known known;
  known.value = value;
  b_.known[node_.outputs[output]] = std::move(known);
  if (b_.model.graph.nodes.empty()) return;
  io::onnx::Node& last = b_.model.graph.nodes.back();  // nothing reads its results yet
  const auto found = std::find(last.outputs.begin(), last.outputs.end(), value);
  if (found == last.outputs.end()) return;
  if (b_.names.insert(node_.outputs[output]).second)
    b_.known[node_.outputs[output]].value = *found = node_.outputs[output];
  if (output == 0) last.name = name_;
}

void AtenCall::pass(const char* name, size_t output) {
  if (output >= node_.outputs.size() || node_.outputs[output].empty()) return;
  value_of(program_name(name));
  const Known same = b_.known.at(program_name(name));
  b_.known[node_.outputs[output]] = same;
}

void AtenCall::set_batch(int axis, size_t output, int64_t before) {
  if (output >= node_.outputs.size()) return;
  const auto found = b_.known.find(node_.outputs[output]);
  if (found == b_.known.end()) return;
  found->second.batch = axis;
  found->second.before = before;
}

namespace {

int64_t product_before(const std::vector<int64_t>& sizes, int axis) {
  int64_t product = 1;
  for (int i = 0; i < axis; ++i)
    product = checked_mul(product, std::abs(sizes[static_cast<size_t>(i)]));
  return product;
}

struct BatchPlace {
  int axis = kNoBatch;
  int64_t before = 1;  // as Known::before
};

// Where the images of a batch stand after a change of shape: behind as many elements as before.
// Where a batch of one leaves that open: in an axis of their own, else as the outer part of an
// axis, else as its inner part, and in the last axis, of features, only where there is no other.
BatchPlace batch_after(const std::vector<int64_t>& from, BatchPlace place,
                       const std::vector<int64_t>& to, int64_t batch) {
  if (place.axis == kNoBatch || batch <= 0) return {};
  const int64_t before = checked_mul(product_before(from, place.axis), place.before);
  BatchPlace best;
  int rank_of_best = 4;
  for (int i = 0; i < static_cast<int>(to.size()); ++i) {
    const int64_t size = to[static_cast<size_t>(i)], outer = product_before(to, i);
    if (outer == 0 || before % outer != 0) continue;
    const int64_t inside = before / outer;
    if (inside == 0 || size % inside != 0 || size / inside % batch != 0) continue;
    const bool is_last = i > 0 && i + 1 == static_cast<int>(to.size());
    const int rank = inside == 1 && size == batch ? 0 : is_last ? 3 : inside == 1 ? 1 : 2;
    if (rank >= rank_of_best) continue;
    best = {i, inside};
    rank_of_best = rank;
  }
  return best;
}

}  // namespace

void AtenCall::reshape(const char* input, const std::string& value, const ExportedArgument* list) {
  const ExportedMeta &from = meta(input), &to = result();
  std::vector<int64_t> sizes = to.sizes;
  int batch = to.free_axis();
  int64_t before = 1;
  if (to.free_axes() <= 1 && from.sizes == to.sizes && value == value_of(program_name(input)))
    return pass(input);
  if (to.free_axes() > 1) {
    GRAFT_CHECK(list, "more than one size of its result is open");
    return finish(add("Reshape", {value, sizes_value(*list)}));
  }
  if (to.free_axes() == 0) {
    const std::string& name = program_name(input);
    const BatchPlace place =
        batch_after(from.sizes, {b_.batch_axis(name), b_.known.at(name).before}, sizes, b_.batch);
    batch = place.axis;
    before = place.before;
    if (batch != kNoBatch) sizes[static_cast<size_t>(batch)] = -1;
  }
  finish(add("Reshape", {value, numbers(sizes)}));
  set_batch(batch, 0, before);
}

void AtenCall::refuse(const std::string& why) const { bad_input(why); }

}  // namespace graft::models::aten
