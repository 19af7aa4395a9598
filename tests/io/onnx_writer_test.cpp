// The ONNX writer: all that a model's plain data can hold comes back through the reader.
#include <gtest/gtest.h>

#include <filesystem>

#include "graft/io/onnx/model.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io::onnx {
namespace {

TEST(OnnxWriter, WholeModelsAreReadBack) {
  Model model;
  model.ir_version = 8;
  model.producer_name = "someone";
  model.opsets = {{"", 17}, {"org.example", 2}};
  model.metadata = {{"a", "b"}};
  Node node;
  node.name = "n";
  node.op_type = "Op";
  node.domain = "org.example";
  node.inputs = {"x", "", "w"};
  node.outputs = {"y"};
  Attribute list, text, real, tensor;
  list.name = "list", list.type = AttributeType::ints, list.ints = {-1, 300, 0};
  text.name = "text", text.type = AttributeType::strings, text.strings = {"p", "q"};
  real.name = "real", real.type = AttributeType::floats, real.floats = {0.1F, -2};
  tensor.name = "tensor", tensor.type = AttributeType::tensor;
  tensor.tensors.push_back({"", {}, {}, Tensor::of({2}, std::vector<int64_t>{7, -9}), {}});
  node.attributes = {list, text, real, tensor};
  model.graph.name = "g";
  model.graph.nodes = {node};
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i64, DType::i32,
                            DType::i8, DType::u8, DType::boolean})
    model.graph.initializers.push_back({std::string(graft::name_of(dtype)),
                                        {},
                                        {},
                                        Tensor::of({3}, std::vector<float>{1, 0, 1}).to(dtype),
                                        {}});
  const TemporaryFolder folder;
  write_model(folder / "m.onnx", model);
  const Model again = read_model(folder / "m.onnx");
  EXPECT_EQ(again.ir_version, 8);
  EXPECT_EQ(again.opsets.at(1).domain, "org.example");
  EXPECT_EQ(again.metadata.at("a"), "b");
  const Node& read = again.graph.nodes.at(0);
  EXPECT_EQ(read.inputs, node.inputs);
  EXPECT_EQ(read.find("list")->ints, list.ints);
  EXPECT_EQ(read.find("text")->strings, text.strings);
  EXPECT_EQ(read.find("real")->floats, real.floats);
  EXPECT_EQ(read.find("tensor")->tensors.at(0).value.to_doubles(), (std::vector<double>{7, -9}));
  ASSERT_EQ(again.graph.initializers.size(), model.graph.initializers.size());
  for (size_t i = 0; i < again.graph.initializers.size(); ++i) {
    EXPECT_EQ(again.graph.initializers[i].name, model.graph.initializers[i].name);
    EXPECT_EQ(again.graph.initializers[i].value.dtype(), model.graph.initializers[i].value.dtype());
    EXPECT_EQ(again.graph.initializers[i].value.to_doubles(), (std::vector<double>{1, 0, 1}));
  }
}

TEST(OnnxWriter, WhatItCannotWriteIsRefused) {
  const TemporaryFolder folder;
  Model model;
  model.functions.emplace_back();
  EXPECT_THROW(write_model(folder / "m.onnx", model), Error);
  model.functions.clear();
  model.graph.initializers.push_back({"nothing", {}, {}, Tensor(), {}});
  EXPECT_THROW(write_model(folder / "m.onnx", model), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "m.onnx"));
}

}  // namespace
}  // namespace graft::io::onnx
