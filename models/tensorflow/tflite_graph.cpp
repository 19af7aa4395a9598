#include "graft/models/tensorflow/tflite_graph.h"

#include <algorithm>
#include <limits>
#include <set>

#include "graft/core/base/checked_math.h"
#include "graft/models/tensorflow/take_graph.h"
#include "graft/models/tensorflow/tflite_operators.h"

namespace graft::models {
namespace {

using io::onnx::ElementType;
using io::tflite::Operator;
using io::tflite::StoredTensor;
using io::tflite::Type;
using tensorflow::Call;
using tensorflow::Dims;
using tensorflow::Item;
using tensorflow::lite_name;
using tensorflow::Translation;
using tensorflow::Value;

int64_t bytes_of_lite(const io::tflite::Model& model) {
  int64_t bytes = 0;
  for (const StoredTensor& tensor : model.tensors) {
    bytes = checked_add(bytes, std::ssize(tensor.name) + 64);
    if (tensor.value.defined()) bytes = checked_add(bytes, tensor.value.bytes());
  }
  return checked_add(bytes, checked_mul(64, std::ssize(model.operators)));
}

bool is_quantized(const StoredTensor& tensor) {
  return !tensor.value.defined() && !tensor.quantization.scales.empty() &&
         (tensor.type == Type::int8 || tensor.type == Type::uint8 || tensor.type == Type::int16);
}

std::pair<double, double> integers_of(Type type) {
  if (type == Type::uint8) return {0, 255};
  return type == Type::int8 ? std::pair<double, double>{-128, 127}
                            : std::pair<double, double>{-32768, 32767};
}

std::pair<double, double> range_of(const StoredTensor& tensor) {
  const auto [least, most] = integers_of(tensor.type);
  const double scale = tensor.quantization.scales[0],
               zero = static_cast<double>(tensor.quantization.zeros[0]);
  return {(least - zero) * scale, (most - zero) * scale};
}

// What gives the same of float values as of their integers.
bool moves_lite_values(const std::string& op) {
  static const std::set<std::string, std::less<>> all = {
      "MAX_POOL_2D",    "RESHAPE",    "SQUEEZE",
      "EXPAND_DIMS",    "TRANSPOSE",  "PAD",
      "PADV2",          "MIRROR_PAD", "SLICE",
      "STRIDED_SLICE",  "SPLIT",      "SPLIT_V",
      "PACK",           "UNPACK",     "TILE",
      "GATHER",         "REDUCE_MAX", "SPACE_TO_DEPTH",
      "DEPTH_TO_SPACE", "QUANTIZE",   "SPACE_TO_BATCH_ND"};
  return all.contains(op);
}

class LiteTranslation {
 public:
  explicit LiteTranslation(const io::tflite::Model& model)
      : model_(model), t_(bytes_of_lite(model)) {}

  io::onnx::Model operator()() {
    check_operators();
    take_tensors();
    find_ends();
    for (size_t i = 0; i < model_.operators.size(); ++i) translate(model_.operators[i], i);
    std::vector<Item> outputs;
    for (const int64_t output : model_.outputs) outputs.push_back(t_.at(lite_name(output)));
    say();
    std::vector<std::string> notes = model_.notes;
    notes.insert(notes.end(), t_.notes.begin(), t_.notes.end());
    io::onnx::Model graph = tensorflow::take_graph(t_, inputs_, types_, outputs, output_names());
    graph.path = model_.path;
    graph.producer_name = model_.description;
    graph.notes = std::move(notes);
    return graph;
  }

 private:
  void check_operators() const {
    std::vector<std::string> unknown;
    std::set<std::string> seen;
    for (size_t i = 0; i < model_.operators.size(); ++i) {
      const Operator& op = model_.operators[i];
      if (tensorflow::is_known_lite(op.name) || is_final_choice(op) || !seen.insert(op.name).second)
        continue;
      if (unknown.size() < 20) unknown.push_back(str(op.name, " (operator ", i, ")"));
    }
    GRAFT_CHECK(unknown.empty(), "the model uses what graft does not know: ", join(unknown));
  }

  // An ArgMax at the end: which class is the answer is for graft to say.
  bool is_final_choice(const Operator& op) const {
    return op.name == "ARG_MAX" && op.outputs.size() == 1 && !op.inputs.empty() &&
           std::find(model_.outputs.begin(), model_.outputs.end(), op.outputs[0]) !=
               model_.outputs.end();
  }

  const StoredTensor& tensor(int64_t index) const {
    return model_.tensors[static_cast<size_t>(index)];
  }

  std::string said_name(int64_t index) const {
    const auto known = model_.signature.find(index);
    std::string name = known != model_.signature.end() ? known->second : tensor(index).name;
    name = name.substr(0, std::min<size_t>(name.find(';'), 200));
    return name.empty() ? str("tensor_", index) : name;
  }

  // --- tensors ---

  void take_tensors() {
    for (size_t i = 0; i < model_.tensors.size(); ++i) {
      const StoredTensor& stored = model_.tensors[i];
      if (!stored.value.defined()) continue;
      Item item;
      item.constant = io::tflite::real_value(stored);
      item.source = said_name(static_cast<int64_t>(i));
      for (int number = 1; !sources_.insert(item.source).second; ++number)
        item.source = str(said_name(static_cast<int64_t>(i)), ":", number);
      t_.put(lite_name(static_cast<int64_t>(i)), std::move(item));
    }
    for (const int64_t index : model_.inputs) take_input(index);
    GRAFT_CHECK(!inputs_.empty(), "the model has no inputs");
    for (const Operator& op : model_.operators)
      for (const int64_t input : op.inputs)
        if (input >= 0) ++t_.readers[lite_name(input)];
    for (const int64_t output : model_.outputs) ++t_.readers[lite_name(output)];
  }

  void take_input(int64_t index) {
    const StoredTensor& stored = tensor(index);
    Dims dims = stored.shape;
    GRAFT_CHECK(dims.size() >= 2 && dims.size() <= 5 && !stored.value.defined(), "its input '",
                stored.name, "' has ", dims.size(), " axes");
    for (size_t axis = 0; axis < dims.size(); ++axis)
      GRAFT_CHECK(dims[axis] >= 1 && dims[axis] <= 1'000'000, "its input '", stored.name,
                  "' has an axis of ", dims[axis]);
    t_.batch = dims[0];
    t_.fixed_batch = t_.fixed_batch || !stored.open_batch;
    Value value{.name = t_.writer.input(said_name(index)), .dims = dims};
    value.dims[0] = -1;
    value.channels_first = value.rank() == 4;
    value.of_image = value.rank() == 4;
    const bool real = stored.type == Type::float32 || is_quantized(stored);
    types_.push_back(real                         ? ElementType::float32
                     : stored.type == Type::uint8 ? ElementType::uint8
                                                  : ElementType::int64);
    if (is_quantized(stored)) {
      const auto [least, most] = range_of(stored);
      t_.notes.push_back(str("the model's input '", value.name, "' is ", name_of(stored.type),
                             " of ", least, " to ", most,
                             "; graft gives it these numbers as "
                             "float32"));
    }
    Item item;
    item.value = value;
    t_.put(lite_name(index), std::move(item));
    inputs_.push_back(std::move(value));
  }

  // Tensors whose quantization only the answer has: behind them nothing but the end is computed.
  void find_ends() {
    std::set<int64_t> ends(model_.outputs.begin(), model_.outputs.end());
    for (size_t i = model_.operators.size(); i-- > 0;) {
      const Operator& op = model_.operators[i];
      const bool ends_here =
          op.outputs.size() == 1 && !op.inputs.empty() && ends.contains(op.outputs[0]);
      static const std::set<std::string, std::less<>> last = {
          "SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "QUANTIZE", "DEQUANTIZE", "ARG_MAX", "RESHAPE"};
      const auto readers = t_.readers.find(lite_name(op.inputs.empty() ? -1 : op.inputs[0]));
      if (ends_here && last.contains(op.name) && readers != t_.readers.end() &&
          readers->second == 1)
        ends.insert(op.inputs[0]);
    }
    ends_ = std::move(ends);
  }

  // --- operators ---

  void translate(const Operator& op, size_t number) {
    const std::string title = str(
        op.name, " (operator ", number,
        op.outputs.empty() || op.outputs[0] < 0 ? "" : ", '" + said_name(op.outputs[0]) + "'", ")");
    try {
      GRAFT_CHECK(!op.outputs.empty() && op.outputs[0] >= 0, "gives no result");
      for (const int64_t output : op.outputs)
        GRAFT_CHECK(output < 0 || !t_.items.contains(lite_name(output)), "its output '",
                    tensor(std::max<int64_t>(output, 0)).name, "' is given twice");
      t_.writer.begin(said_name(op.outputs[0]));
      if (is_final_choice(op)) {
        Item same = t_.at(lite_name(op.inputs[0]));
        t_.put(lite_name(op.outputs[0]), std::move(same));
        t_.notes.push_back(
            "the ArgMax at the model's end is left out: graft says itself which "
            "class is the answer");
        return;
      }
      const tensorflow::Prepared prepared = tensorflow::prepare_lite(op, t_);
      std::vector<std::string> outputs;
      for (const int64_t output : op.outputs) outputs.push_back(lite_name(output));
      Call call(prepared.op, title, prepared.inputs, outputs, prepared.attributes, t_);
      const tensorflow::KnownOperator* known = tensorflow::find_operator(prepared.op);
      GRAFT_ASSERT(known);
      known->run(call);
      for (const int64_t output : op.outputs)
        if (output >= 0) finish(op, output, call, prepared.activation);
    } catch (const Error& error) {
      throw error.with_context(title);
    }
  }

  void finish(const Operator& op, int64_t output, Call& call, const std::string& activation) {
    Item& item = t_.items.at(lite_name(output));
    if (!item.is_computed()) return;
    item.value = tensorflow::with_activation(call, item.value, activation);
    if (activation != "NONE") item.made_by.clear();
    if (item.block.empty()) t_.writer.end(item.value);
    if (is_quantized(tensor(output)) && needs_rounding(op, output)) quantize(item, tensor(output));
  }

  bool needs_rounding(const Operator& op, int64_t output) const {
    if (ends_.contains(output)) return false;
    const bool moved = moves_lite_values(op.name) && !op.inputs.empty() && op.inputs[0] >= 0;
    const StoredTensor& from = tensor(moved ? op.inputs[0] : output);
    if (!moved || !is_quantized(from)) return true;
    // Of the same scale, or of uint8 as int8.
    return range_of(from) != range_of(tensor(output));
  }

  // Rounds to the tensor's integers and back, as ONNX's QDQ form does.
  void quantize(Item& item, const StoredTensor& to) {
    GRAFT_CHECK(to.quantization.scales.size() == 1 && to.quantization.scales[0] > 0,
                "its result has ", to.quantization.scales.size(), " scales");
    item.made_by.clear();
    item.value.of_image = false;
    tensorflow::Writer& w = t_.writer;
    const double scale = to.quantization.scales[0];
    ++quantized_;
    if (to.type == Type::int16) {
      const auto [least, most] = range_of(to);
      const std::string low = w.number(least), high = w.number(most);
      item.value.name = w.node("Clip", {item.value.name, low, high});
      return;
    }
    const auto [least, most] = integers_of(to.type);
    const int64_t zero = to.quantization.zeros[0];
    GRAFT_CHECK(zero >= least && zero <= most, "the zero point ", zero, " of its result");
    const std::string by = w.number(scale),
                      from =
                          w.constant(Tensor::scalar(static_cast<double>(zero),
                                                    to.type == Type::int8 ? DType::i8 : DType::u8));
    const std::string integers = w.node("QuantizeLinear", {item.value.name, by, from});
    item.value.name = w.node("DequantizeLinear", {integers, by, from});
  }

  // --- what is said ---

  std::vector<std::string> output_names() const {
    std::vector<std::string> names;
    for (const int64_t output : model_.outputs) names.push_back(said_name(output));
    return names;
  }

  void say() {
    if (t_.fixed_batch && t_.batch != 1)
      t_.notes.push_back(str("the model was made for batches of ", t_.batch,
                             "; graft runs any size (guessed from its first axis)"));
    int64_t integer_weights = 0, halves = 0;
    for (const StoredTensor& stored : model_.tensors) {
      if (!stored.value.defined()) continue;
      halves += stored.type == Type::float16;
      integer_weights += !is_floating(stored.value.dtype()) && !stored.quantization.scales.empty();
    }
    if (halves > 0) t_.notes.push_back(str(halves, " tensors are float16: read as float32"));
    if (integer_weights > 0)
      t_.notes.push_back(str(integer_weights,
                             " tensors are integers with scales: read as the "
                             "float32 numbers that they stand for",
                             quantized_ == 0 ? " (dynamic-range quantization; TensorFlow Lite "
                                               "also rounds the values between)"
                                             : ""));
  }

  const io::tflite::Model& model_;
  Translation t_;
  std::vector<Value> inputs_;
  std::vector<ElementType> types_;
  std::set<std::string> sources_;
  std::set<int64_t> ends_;
  int64_t quantized_ = 0;
};

}  // namespace

io::onnx::Model onnx_graph(const io::tflite::Model& model) {
  try {
    return LiteTranslation(model)();
  } catch (const Error& error) {
    if (model.path.empty() || std::string(error.what()).starts_with(model.path)) throw;
    throw error.with_context(model.path);
  }
}

std::pair<double, double> input_range(const io::tflite::Model& model) {
  if (model.inputs.empty()) return {0, 0};
  const StoredTensor& input = model.tensors[static_cast<size_t>(model.inputs[0])];
  return is_quantized(input) ? range_of(input) : std::pair<double, double>{0, 0};
}

}  // namespace graft::models
