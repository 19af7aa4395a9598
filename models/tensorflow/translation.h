// A network of TensorFlow's operators as it becomes a graph in ONNX's terms: what each name of the
// file stands for, and the call of one operator. TensorFlow Lite's operators are put in
// TensorFlow's words first (tflite_graph.cpp).
#pragma once
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/tensor/tensor.h"
#include "graft/io/weights/limits.h"
#include "graft/models/keras/writer.h"

namespace graft::models::tensorflow {

using keras::Attributes;
using keras::Value;
using keras::Writer;

// Axes are counted as TensorFlow does. In Value::dims a number below 0, -n, is n times the batch.
using Dims = std::vector<int64_t>;
bool is_of_batch(int64_t extent);
// Among sizes: what is left, a literal -1.
inline constexpr int64_t kWhatIsLeft = std::numeric_limits<int64_t>::min();
// The product; bad_input where the batch would be in it twice.
int64_t product_of(std::span<const int64_t> dims);
// How many numbers an image has in a value; how many a constant has.
int64_t per_image(std::span<const int64_t> dims);

// What a name stands for: a computed value, a constant, or sizes that may be of the batch.
struct Item {
  Value value{};
  Tensor constant{};     // defined: known when the file is read
  std::string source{};  // of a stored constant: its name in the file
  std::optional<Dims> sizes{};
  // Between the two halves of a dilated convolution, SpaceToBatchND and BatchToSpaceND: the value
  // is the one before them.
  Dims block{}, block_pads{};
  // Of a constant that was computed, and of products: how, for who knows it as a part of a norm.
  std::string made_by{};
  std::vector<std::string> made_of{};

  bool is_constant() const { return constant.defined(); }
  bool is_computed() const { return !value.name.empty(); }
};

struct AttributeValue {
  Dims integers{};
  double real = 0;
  std::string text{};
};
using AttributeValues = std::map<std::string, AttributeValue, std::less<>>;

class Translation {
 public:
  explicit Translation(int64_t file_bytes) : budget_(file_bytes, 64) {}

  Writer writer;
  std::map<std::string, Item> items;
  std::map<std::string, int64_t> readers;  // of each name in the file
  std::vector<std::string> notes;
  int64_t batch = 1;  // that the file was made for where it fixes one
  bool fixed_batch = false;
  int64_t filled_norms = 0;  // norms without a scale or a shift of their own

  const Item& at(const std::string& name) const;
  void put(const std::string& name, Item item);
  // A constant as a tensor of the graph; the same for the same layout.
  std::string stored(const Item& constant, const Tensor& as, const std::string& layout);
  void charge(int64_t bytes) { budget_.charge(bytes); }

 private:
  io::MemoryBudget budget_;
  std::map<std::string, std::string> stored_;
};

class Call {
 public:
  Call(std::string op, std::string title, std::vector<std::string> inputs,
       std::vector<std::string> outputs, AttributeValues attributes, Translation& translation)
      : op(std::move(op)),
        title(std::move(title)),
        inputs(std::move(inputs)),
        outputs(std::move(outputs)),
        attributes(std::move(attributes)),
        t(translation) {}

  const std::string op, title;
  const std::vector<std::string> inputs, outputs;
  const AttributeValues attributes;
  Translation& t;

  Writer& writer() const { return t.writer; }
  bool has_input(size_t i) const { return i < inputs.size() && !inputs[i].empty(); }
  const Item& item(size_t i) const;
  Value value(size_t i) const;  // a constant becomes one of the graph
  const Tensor& constant(size_t i, const char* what) const;
  // Whole numbers that are known now.
  Dims integers(size_t i, const char* what) const;
  // Sizes, of the batch or not; a constant's too, whose -1 is kWhatIsLeft.
  Dims sizes(size_t i, const char* what) const;
  bool has_sizes(size_t i) const { return item(i).sizes.has_value() || item(i).is_constant(); }

  int64_t integer(const char* name, int64_t otherwise) const;
  bool flag(const char* name) const { return integer(name, 0) != 0; }
  double real(const char* name, double otherwise) const;
  std::string text(const char* name, const std::string& otherwise) const;
  Dims list(const char* name, Dims otherwise) const;

  void give(Value result, size_t output = 0);
  void give(Item result, size_t output = 0);
  void give_sizes(Dims sizes, size_t output = 0);
  // A node of one input behind `value`, of its shape.
  Value node(const char* op, const Value& value, Attributes attributes = {}) const;
  bool is_read_once(size_t input) const;
};

struct KnownOperator {
  const char* name;
  void (*run)(Call& call);
};
using OperatorTable = std::span<const KnownOperator>;

OperatorTable convolution_operators();
OperatorTable elementwise_operators();
OperatorTable reduction_operators();
OperatorTable shape_operators();
OperatorTable movement_operators();

const KnownOperator* find_operator(const std::string& name);

// The broadcast shape of two; bad_input where they do not meet.
Dims broadcast(const Dims& a, const Dims& b);
// The same value in another shape of as many numbers for each image.
Value reshaped(Call& call, const Value& value, const Dims& to);
// A constant as an operand beside a value, in that value's order of axes.
std::string operand_beside(Call& call, const Item& constant, const Value& value);
// TensorFlow's and TensorFlow Lite's fused activations: "RELU6"; "" and "NONE" are none.
Value with_activation(Call& call, const Value& value, const std::string& function);
// Computes an operator whose operands are all constants; undefined where it is none of those that
// are computed when the file is read.
Tensor fold_constants(Call& call);

}  // namespace graft::models::tensorflow
