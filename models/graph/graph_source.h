// GraphSource: an ONNX graph made ready to run: functions inlined, checked, constants folded, and
// each stored tensor with its role. Plain data; a GraphModule is built from it and a model's card
// stores it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/io/onnx/model.h"

namespace graft::models {

enum class TensorRole : unsigned char {
  parameter,  // trained: weights, biases, scales
  buffer,     // a batch norm's running statistics
  constant,   // everything else: shapes, indices, numbers of the graph
};

struct GraphTensor {
  std::string name{};
  TensorRole role = TensorRole::constant;
  DType dtype = DType::f32;
  Shape shape{};
  Tensor value{};  // undefined: not read yet (a card names tensors, the file beside it holds them)
};

struct GraphInput {
  std::string name{};
  DType dtype = DType::f32;
  bool has_shape = false;
  std::vector<int64_t> dims{};  // -1: free
};

struct GraphSource {
  std::string name{};
  std::map<std::string, int64_t> opsets{};  // by domain
  std::vector<io::onnx::Node>
      nodes{};  // in an order in which they can run; every one reaches an output
  std::vector<GraphInput> inputs{};
  std::vector<std::string> outputs{};
  std::vector<GraphTensor> tensors{};  // those that nodes or outputs use
  // The values between stages, in order, the last being the first output; empty: every value
  // through which all of the graph's data flows.
  std::vector<std::string> stage_ends{};
  std::vector<std::string> notes{};  // for the certificate
};

inline constexpr int64_t kFoldedOperationsPerByte = 256;

struct GraphReadOptions {
  int64_t folded_bytes =
      int64_t{1}
      << 30;  // the most that folded constants may hold, beside four times the initializers
  // The most that folding may compute, as models/graph/work_limit.h counts, beside
  // kFoldedOperationsPerByte for each byte of the initializers: seconds. Nodes beyond run with the
  // graph.
  int64_t folded_operations = 100'000'000'000;
  // false: every number as ONNX defines it. true: a network that trains: float32 throughout, what
  // is quantized read in float, batch norm and dropout in graft's own modes.
  bool as_network = false;
};

// bad_input in one sentence, with all names, for operators that graft does not know (with node and
// opset), attributes it does not know, inputs that nothing gives, nodes in a cycle, names given
// twice, and nodes whose constants do not fit.
GRAFT_API GraphSource read_graph(const io::onnx::Model& model,
                                 const GraphReadOptions& options = {});

// Whether an operator's input is a weight that training changes, a statistic, or neither; by the
// node's operator.
GRAFT_API TensorRole role_of_input(const io::onnx::Node& node, size_t input);
// Conv, ConvTranspose, Gemm and MatMul: what a classifier ends in.
GRAFT_API bool is_linear_operator(const io::onnx::Node& node);

}  // namespace graft::models
