// OnnxNodes: one traced operation after another becomes ONNX nodes (opset 17).
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graft/core/autograd/trace.h"
#include "graft/io/onnx/model.h"

namespace graft::models {

class OnnxNodes {
 public:
  explicit OnnxNodes(io::onnx::Graph& graph) : graph_(graph) {}
  // A tensor that exists before the steps: the input, a parameter (then it becomes an initializer
  // when a step reads it).
  void name(const Tensor& tensor, const std::string& name, bool parameter);
  // bad_input naming the operation when it has no node.
  void add(const TraceStep& step);
  // The name of a traced value; bad_input when no step computed it.
  const std::string& name_of(const Tensor& tensor) const;

 private:
  using Attributes = std::vector<io::onnx::Attribute>;
  // A reshape's result shares its input's storage: storage and shape together tell values apart.
  using Key = std::pair<uint64_t, std::string>;
  static Key key_of(const Tensor& tensor) {
    return {tensor.storage_id(), tensor.shape().to_string()};
  }

  void convolution(const TraceStep& step);
  void batch_norm(const TraceStep& step);
  void unary(const TraceStep& step);
  void binary(const TraceStep& step);
  void max_pool(const TraceStep& step);
  void average_pool(const TraceStep& step);
  void adaptive_pool(const TraceStep& step);
  void reshape(const TraceStep& step);
  void pad(const TraceStep& step);
  void resample(const TraceStep& step);
  // Appends a node that computes `output`.
  void node(const char* op, std::vector<std::string> inputs, const std::string& output,
            Attributes attributes = {});
  std::string input(const TraceStep& step, size_t index);  // "" for an absent one
  // A fresh name for what `step` computes, after the parameter that it takes: "layer1.0.conv1".
  std::string output(const TraceStep& step);
  std::string fresh(const std::string& wanted);
  std::string constant(const std::string& what, Tensor value);

  io::onnx::Graph& graph_;
  std::map<Key, std::string> names_;
  std::map<std::string, Tensor> parameters_;  // those not read yet
  std::map<std::string, int> used_;
};

}  // namespace graft::models
