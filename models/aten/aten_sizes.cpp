// Sizes that are computed, and tensors made of them.
#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {
namespace {

using io::onnx::integer_attribute;

void sym_size(AtenCall& call) {
  const int64_t axis = call.axis("dim", call.rank("self"));
  call.finish(call.add("Shape", {call.tensor("self")},
                       {integer_attribute("start", axis), integer_attribute("end", axis + 1)}));
}

void size_arithmetic(AtenCall& call, const char* op) {
  const std::string left = call.size_value(call.at(0));
  call.finish(call.add(op, {left, call.size_value(call.at(1))}));
}
void size_add(AtenCall& call) { size_arithmetic(call, "Add"); }
void size_sub(AtenCall& call) { size_arithmetic(call, "Sub"); }
void size_mul(AtenCall& call) { size_arithmetic(call, "Mul"); }
void size_div(AtenCall& call) { size_arithmetic(call, "Div"); }  // sizes are not negative

void fill_shape(AtenCall& call, double value) {
  const ExportedArgument* list = call.find("size");
  // An empty list has no kind of its own: torch writes it as one of tensors, or of numbers.
  const bool scalar = !list || (list->kind == io::ExportedKind::tensors && list->texts.empty());
  if (scalar) return call.finish(call.number(value, call.result().type));
  call.finish(call.filled(call.sizes_value(*list), value, call.result().type));
}
void zeros(AtenCall& call) { fill_shape(call, 0); }
void ones(AtenCall& call) { fill_shape(call, 1); }
void full(AtenCall& call) { fill_shape(call, call.real("fill_value")); }

void fill_like(AtenCall& call, double value) {
  call.finish(call.filled(call.add("Shape", {call.tensor("self")}), value, call.result().type));
}
void zeros_like(AtenCall& call) { fill_like(call, 0); }
void ones_like(AtenCall& call) { fill_like(call, 1); }
void full_like(AtenCall& call) { fill_like(call, call.real("fill_value")); }

void scalar_tensor(AtenCall& call) { call.finish(call.number(call.real("s"), call.result().type)); }

void arange(AtenCall& call) {
  const int64_t type = call.result().type;
  const auto bound = [&](const char* name, double otherwise) {
    const ExportedArgument* given = call.find(name);
    if (given && given->kind == io::ExportedKind::symbol) {
      const std::string axes = call.numbers({0});
      return call.cast(call.add("Squeeze", {call.value_of(given->texts[0]), axes}), type);
    }
    return call.number(call.real(name, otherwise), type);
  };
  const std::string begin = bound("start", 0), end = bound("end", 0), step = bound("step", 1);
  call.finish(call.add("Range", {begin, end, step}));
}

// A value in every place of the tensor that is changed.
void fill(AtenCall& call) {
  if (!call.is_tensor("value")) return fill_like(call, call.real("value"));
  const std::string shape = call.add("Shape", {call.tensor("self")});
  call.finish(call.add("Expand", {call.cast(call.tensor("value"), call.result().type), shape}));
}
void zero(AtenCall& call) { fill_like(call, 0); }
void copy(AtenCall& call) {
  const std::string shape = call.add("Shape", {call.tensor("self")});
  call.finish(call.add("Expand", {call.cast(call.tensor("src"), call.result().type), shape}));
}

constexpr AtenOperator kSizes[] = {
    {"sym_size", sym_size},
    {"operator.add", size_add},
    {"operator.sub", size_sub},
    {"operator.mul", size_mul},
    {"operator.floordiv", size_div},
    {"zeros", zeros},
    {"new_zeros", zeros},
    {"empty", zeros},
    {"new_empty", zeros},
    {"ones", ones},
    {"new_ones", ones},
    {"full", full},
    {"new_full", full},
    {"zeros_like", zeros_like},
    {"empty_like", zeros_like},
    {"ones_like", ones_like},
    {"full_like", full_like},
    {"scalar_tensor", scalar_tensor},
    {"arange", arange},
    {"fill", fill},
    {"zero", zero},
    {"copy", copy},
};

}  // namespace

AtenTable aten_sizes() { return kSizes; }

}  // namespace graft::models::aten
