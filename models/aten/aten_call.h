// AtenCall: one ATen node about to be said in ONNX's operators: its arguments by the names of
// PyTorch's schema, and the nodes that it becomes.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "graft/io/onnx/attributes.h"
#include "graft/io/torch_export/program.h"

namespace graft::models::aten {

using io::ExportedArgument;
using io::ExportedMeta;
using io::ExportedNode;
using io::onnx::Attribute;

constexpr int kNoBatch = -1;

// What the translation knows of a value beside its description.
struct Known {
  std::string value;       // its ONNX name; in-place operators change it
  int batch = kNoBatch;    // the axis along which the images of a batch stand, where it is told
  int64_t before = 1;      // elements of that axis for each step along the batch's outer axes: 17
                           // where a reshape made one axis of 17 x batch
  std::string transposed;  // the matrix that this is the transpose of
  std::string base;        // of a view by slices: the value that it is a part of
  std::vector<std::array<int64_t, 4>> slices;  // axis, begin, end, step; of `base`
  bool stale = false;                          // changed in place through another view
};

// The ONNX graph in the making.
struct Building {
  explicit Building(const io::ExportedProgram& exported) : program(exported) {}

  const io::ExportedProgram& program;
  io::onnx::Model model{};
  std::unordered_map<std::string, Known> known{};  // by the program's names
  std::set<std::string> names{};                   // of ONNX values
  std::string image{};                             // the user's input
  int64_t batch = 0;                               // that the program was exported for; 0: free
  int64_t fresh = 0;
  int64_t trained_norms = 0, left_noise = 0, followed_batches = 0;

  std::string unique(std::string name);
  const ExportedMeta& meta(const std::string& value) const;
  int batch_axis(const std::string& value) const;
};

class AtenCall {
 public:
  AtenCall(const ExportedNode& node, std::string name, Building& building)
      : node_(node), name_(std::move(name)), b_(building) {}

  const ExportedNode& node() const { return node_; }
  Building& building() { return b_; }

  // Arguments.
  const ExportedArgument* find(const char* name) const;  // null when absent or none
  const ExportedArgument& at(size_t position) const;
  bool is_tensor(const char* name) const;
  const std::string& program_name(const char* name) const;  // of a tensor, in the program
  std::string tensor(const char* name);                     // its ONNX value
  std::string optional_tensor(const char* name);            // "" when absent
  std::vector<std::string> program_names(const char* name) const;
  std::string value_of(const std::string& program_name);
  int64_t integer(const char* name, std::optional<int64_t> otherwise = {}) const;
  bool flag(const char* name, bool otherwise = false) const;
  double real(const char* name, std::optional<double> otherwise = {}) const;
  std::string text(const char* name, const std::string& otherwise) const;
  // A list of numbers; one alone stands for `count` of them.
  std::vector<int64_t> integers(const char* name, std::vector<int64_t> otherwise = {},
                                size_t count = 0) const;
  const ExportedMeta& meta(const char* name) const { return b_.meta(program_name(name)); }
  int rank(const char* name) const { return static_cast<int>(meta(name).sizes.size()); }
  int64_t axis(const char* name, int rank, std::optional<int64_t> otherwise = {}) const;
  const ExportedMeta& result(size_t output = 0) const;
  // A static size; bad_input when it is free.
  int64_t size(const char* name, int axis) const;

  // Nodes.
  std::string add(const char* op, std::vector<std::string> inputs,
                  std::vector<Attribute> attributes = {});
  std::vector<std::string> add_several(const char* op, std::vector<std::string> inputs,
                                       size_t outputs, std::vector<Attribute> attributes);
  std::string constant(const Tensor& value);
  std::string numbers(const std::vector<int64_t>& values);
  std::string number(double value, int64_t type);  // a scalar of a ScalarType
  std::string cast(const std::string& value, int64_t type);
  // A tensor of one value, of a shape that is itself a value.
  std::string filled(const std::string& shape, double value, int64_t type);
  // A list of sizes as a value: numbers, or computed ones.
  std::string sizes_value(const ExportedArgument& list);
  std::string size_value(const ExportedArgument& one);
  // The node's own name goes to the operator added last.
  void finish(const std::string& value, size_t output = 0);
  // The output is the input itself.
  void pass(const char* name, size_t output = 0);
  void set_batch(int axis, size_t output = 0, int64_t before = 1);
  // The output's description gives the shape.
  void reshape(const char* input, const std::string& value, const ExportedArgument* list = nullptr);

  [[noreturn]] void refuse(const std::string& why) const;

 private:
  const ExportedNode& node_;
  std::string name_;
  Building& b_;
};

int64_t onnx_type(int64_t scalar_type);  // TensorProto.DataType
DType tensor_type(int64_t scalar_type);
bool is_floating_type(int64_t scalar_type);

struct AtenOperator {
  const char* name;  // without overload and trailing underscore
  void (*run)(AtenCall& call);
  bool view = false;  // its result may share its input's memory
};

using AtenTable = std::span<const AtenOperator>;
AtenTable aten_layers();
AtenTable aten_pools();
AtenTable aten_elementwise();
AtenTable aten_shapes();
AtenTable aten_movement();
AtenTable aten_products();
AtenTable aten_sizes();

// "conv2d" of "torch.ops.aten.conv2d.default"; in_place for "relu_".
struct AtenName {
  std::string name;
  bool in_place = false;
};
AtenName aten_name(const std::string& target);
const AtenOperator* find_aten(const std::string& name);

}  // namespace graft::models::aten
