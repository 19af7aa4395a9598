// A small ONNX classifier whose nodes compute shapes, read limits, compare, choose, pad and
// normalise beside convolving.
#pragma once
#include <string>
#include <vector>

#include "graft/io/onnx/model.h"
#include "graft/models/graph/graph_import.h"
#include "graft/tests/support/network_formula.h"

namespace graft::train {

// data [N,3,8,8] -> 5 classes.
inline io::onnx::Model shapely_classifier() {
  using io::onnx::Attribute;
  using io::onnx::AttributeType;
  using io::onnx::ElementType;
  io::onnx::Model model;
  model.path = "shapely.onnx";
  model.ir_version = 8;
  model.opsets = {{"", 17}};
  const auto add = [&](const std::string& name, const Tensor& value,
                       ElementType type = ElementType::float32) {
    io::onnx::NamedTensor& tensor = model.graph.initializers.emplace_back();
    tensor.name = name, tensor.type = type, tensor.value = value;
  };
  const auto integers = [&](const std::string& name, const std::vector<int64_t>& values) {
    add(name, Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values),
        ElementType::int64);
  };
  const auto node = [&](const std::string& op, std::vector<std::string> inputs,
                        const std::string& output, std::vector<Attribute> attributes = {}) {
    io::onnx::Node& n = model.graph.nodes.emplace_back();
    n.name = output + "_node", n.op_type = op, n.inputs = std::move(inputs), n.outputs = {output},
    n.attributes = std::move(attributes);
  };
  const auto integer = [](const char* name, int64_t value) {
    return Attribute{.name = name, .type = AttributeType::int_, .i = value};
  };
  add("w1", test::formula_image("w1", {4, 3, 3, 3}));
  add("w2", test::formula_image("w2", {6, 4, 3, 3}));
  for (const char* name : {"gamma", "beta", "mean"}) add(name, test::formula_image(name, {4}));
  add("var", Tensor::full({4}, 2));
  add("scale", Tensor::full({6}, 1));
  add("shift", Tensor::full({6}, 0.1));
  add("low", Tensor::scalar(-3)), add("high", Tensor::scalar(3)), add("zero", Tensor::scalar(0)),
      add("tenth", Tensor::scalar(0.1));
  add("fc.weight", test::formula_image("fc", {5, 6})),
      add("fc.bias", test::formula_image("b", {5}));
  integers("first", {0}), integers("rest", {-1}), integers("pads", {0, 0, 1, 1, 0, 0, 1, 1}),
      integers("even", {4, 2, 0, 5, 1, 3});
  node("Pad", {"data", "pads", "zero"}, "padded");
  node("Conv", {"padded", "w1"}, "c1");
  node("BatchNormalization", {"c1", "gamma", "beta", "mean", "var"}, "n1");
  node("Clip", {"n1", "low", "high"}, "clipped");
  node("Greater", {"clipped", "zero"}, "positive");
  node("Mul", {"clipped", "tenth"}, "small");
  node("Where", {"positive", "clipped", "small"}, "chosen");  // a leaky ReLU
  node("Conv", {"chosen", "w2"}, "c2");
  node("InstanceNormalization", {"c2", "scale", "shift"}, "n2");
  node("Softmax", {"n2"}, "gate", {integer("axis", 1)});
  node("Mul", {"n2", "gate"}, "gated");
  node("Gather", {"gated", "even"}, "shuffled", {integer("axis", 1)});
  node("Shape", {"shuffled"}, "shape");
  node("Gather", {"shape", "first"}, "batch");
  node("Concat", {"batch", "rest"}, "flat_shape", {integer("axis", 0)});
  node("GlobalAveragePool", {"shuffled"}, "pooled");
  node("Reshape", {"pooled", "flat_shape"}, "flat");
  node("Gemm", {"flat", "fc.weight", "fc.bias"}, "y", {integer("transB", 1)});
  io::onnx::ValueInfo x;
  x.name = "data", x.type = ElementType::float32, x.has_shape = true;
  x.dims = {{0, "N"}, {3, ""}, {8, ""}, {8, ""}};
  model.graph.inputs = {x};
  x.name = "y";
  model.graph.outputs = {x};
  return model;
}

}  // namespace graft::train
