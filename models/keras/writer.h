// Writer: a graph in ONNX's terms that grows as a Keras model is read, with its values in whichever
// order of axes suits: convolutions want channels first, Keras counts them last.
#pragma once
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "graft/io/onnx/model.h"

namespace graft::models::keras {

struct Value {
  std::string name{};
  std::vector<int64_t> dims{};  // in Keras' order, the batch included; -1: open
  bool channels_first = false;  // stored with Keras' last axis as the second
  bool of_image = false;        // the model's image, on which only preprocessing was done

  size_t rank() const { return dims.size(); }
  int64_t at(int64_t axis) const;  // of [-rank, rank)
};

// Of [-rank, rank), as in Keras; bad_input otherwise.
size_t axis_of(int64_t axis, size_t rank);

io::onnx::Attribute ints(const char* name, std::vector<int64_t> values);
io::onnx::Attribute integer(const char* name, int64_t value);
io::onnx::Attribute real(const char* name, double value);
io::onnx::Attribute text(const char* name, const std::string& value);
using Attributes = std::vector<io::onnx::Attribute>;

class Writer {
 public:
  Writer();

  // What follows is called after `path`, until the next; a path that was there already (a shared
  // layer) gets a number.
  void begin(const std::string& path);
  // The result of what began: its value gets the path as its name, where a node computed it.
  void end(Value& result);

  // One node of one output; its value's name.
  std::string node(const std::string& op, std::vector<std::string> inputs,
                   Attributes attributes = {});
  // A tensor that is trained, under a layer's name, once.
  std::string parameter(const std::string& name, const Tensor& tensor);
  bool has_parameter(const std::string& name) const { return parameters_.contains(name); }
  bool is_taken(const std::string& name) const { return names_.contains(name); }
  std::string constant(const Tensor& tensor);
  std::string number(double value);
  std::string numbers(const std::vector<int64_t>& values);  // i64
  // The node that gives `output`, if it is one of the last few; else null. Until the next node.
  io::onnx::Node* recent_node(const std::string& output);
  bool has_nodes() const { return !model_.graph.nodes.empty(); }
  void needs_opset(int64_t version) { opset_ = std::max(opset_, version); }

  Value in_order(const Value& value);        // as Keras counts its axes
  Value channels_first(const Value& value);  // of rank 3 and more
  // An axis of Keras' as the value is stored.
  static int64_t stored_axis(const Value& value, int64_t axis);
  // A constant of Keras' shape [...] that meets the value by broadcasting.
  Tensor meeting(const Value& value, const Tensor& constant) const;

  // A name for an input of the graph.
  std::string input(const std::string& name) { return unique(name); }
  io::onnx::Model take(const std::vector<Value>& inputs,
                       const std::vector<io::onnx::ElementType>& types,
                       const std::vector<Value>& outputs);

 private:
  std::string unique(const std::string& name);
  std::string stored(const std::string& name, const Tensor& tensor);
  Value turned(const Value& value, bool channels_first);

  io::onnx::Model model_;
  std::string path_;
  size_t first_node_ = 0;  // of what began
  int64_t opset_ = 17;
  std::set<std::string> names_, parameters_, turns_;
  std::unordered_map<std::string, std::string> turned_;
  std::unordered_map<std::string, int> numbers_of_;  // that were given to a name
};

}  // namespace graft::models::keras
