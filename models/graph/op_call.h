// OpCall: one node about to run: its attributes, read with ONNX's defaults, and its input tensors.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/io/onnx/model.h"
#include "graft/layers/functional/conv.h"

namespace graft::functional {
struct BatchStatistics;
}

namespace graft::models::graph {

// What a node's result depends on beside its inputs.
struct RunMode {
  int64_t declared_batch = 0;  // the fixed batch size that the graph declares; 0: none
  int64_t most_elements = int64_t{1} << 40;  // that one result may have
  functional::BatchStatistics* statistics =
      nullptr;  // of a convolution's result, wanted by the norm behind it; null: by nobody
};

using OpOutputs = std::vector<Tensor>;

class OpCall {
 public:
  OpCall(const io::onnx::Node& node, int64_t opset, std::span<const Tensor> inputs,
         const RunMode& mode)
      : node_(node), opset_(opset), inputs_(inputs), mode_(mode) {}

  const io::onnx::Node& node() const { return node_; }
  int64_t opset() const { return opset_; }  // of the node's domain
  const RunMode& mode() const { return mode_; }

  size_t inputs() const { return inputs_.size(); }
  bool has(size_t input) const { return input < inputs_.size() && inputs_[input].defined(); }
  const Tensor& in(size_t input) const;  // bad_input when it is absent
  Tensor optional(size_t input) const;   // undefined when it is absent
  std::span<const Tensor> all() const { return inputs_; }
  std::vector<int64_t> numbers(size_t input) const;  // the elements of an integer input
  int64_t number(size_t input) const;                // the one element of an integer input
  bool wants(size_t output) const {
    return output < node_.outputs.size() && !node_.outputs[output].empty();
  }

  bool given(const char* attribute) const { return node_.find(attribute) != nullptr; }
  int64_t integer(const char* attribute) const;  // bad_input when it is absent
  int64_t integer(const char* attribute, int64_t otherwise) const;
  double real(const char* attribute, double otherwise) const;
  std::vector<int64_t> integers(const char* attribute, std::vector<int64_t> otherwise = {}) const;
  std::string text(const char* attribute, const std::string& otherwise) const;
  // Input `input` where there is one, else the attribute of older opsets; `found` tells whether
  // either was there.
  std::vector<int64_t> numbers_or_attribute(size_t input, const char* attribute,
                                            bool* found = nullptr) const;

  // bad_input when a result of this many elements is more than the graph may ask for.
  void check_size(int64_t elements) const;

 private:
  const io::onnx::Node& node_;
  int64_t opset_;
  std::span<const Tensor> inputs_;
  const RunMode& mode_;
};

// axis counted from the end when negative; bad_input naming it when it is outside of [-rank, rank).
int at_axis(int64_t axis, int rank);
// The elements of an integer tensor.
std::vector<int64_t> integers_of(const Tensor& tensor);
Tensor tensor_of(const std::vector<int64_t>& numbers);  // i64 [n]
// The decimal that the file's float stands for: 1e-5, not 9.99999974e-06.
double shortest_decimal(float value);
// "Conv node 'conv1'".
std::string title_of(const io::onnx::Node& node);

}  // namespace graft::models::graph
