// Graphs whose images have their channels last: the input is turned once, or not at all.
#include "graft/models/graph/graph_layout.h"

#include <gtest/gtest.h>

namespace graft::models {
namespace {

io::onnx::Node turn(const std::string& from, const std::string& to, std::vector<int64_t> perm) {
  io::onnx::Node node;
  node.name = to;
  node.op_type = "Transpose";
  node.inputs = {from};
  node.outputs = {to};
  io::onnx::Attribute attribute;
  attribute.name = "perm";
  attribute.type = io::onnx::AttributeType::ints;
  attribute.ints = std::move(perm);
  node.attributes = {attribute};
  return node;
}

io::onnx::Node relu(const std::string& from, const std::string& to) {
  io::onnx::Node node;
  node.name = to;
  node.op_type = "Relu";
  node.inputs = {from};
  node.outputs = {to};
  return node;
}

GraphSource graph_of(std::vector<io::onnx::Node> nodes, std::vector<int64_t> dims) {
  GraphSource source;
  source.opsets = {{"", 17}};
  source.inputs = {{.name = "x", .dtype = DType::f32, .has_shape = true, .dims = std::move(dims)}};
  source.outputs = {nodes.back().outputs[0]};
  source.nodes = std::move(nodes);
  return source;
}

TEST(GraphLayout, TheFirstTransposeGoes) {
  GraphSource source = graph_of({turn("x", "t", {0, 3, 1, 2}), relu("t", "y")}, {-1, 64, 48, 3});
  take_channels_first(source);
  ASSERT_EQ(source.nodes.size(), 1u);
  EXPECT_EQ(source.inputs[0].name, "t");
  EXPECT_EQ(source.inputs[0].dims, (std::vector<int64_t>{-1, 3, 64, 48}));
  EXPECT_EQ(source.notes.size(), 1u);
}

TEST(GraphLayout, WhatReadsChannelsLastGetsThem) {
  GraphSource source = graph_of({relu("x", "r"), turn("r", "y", {0, 3, 1, 2})}, {-1, 64, 64, 3});
  take_channels_first(source);
  ASSERT_EQ(source.nodes.size(), 3u);
  EXPECT_EQ(source.nodes[0].op_type, "Transpose");
  EXPECT_EQ(source.nodes[0].inputs[0], source.inputs[0].name);
  EXPECT_EQ(source.nodes[0].outputs[0], "x");
  EXPECT_EQ(source.nodes[0].find("perm")->ints, (std::vector<int64_t>{0, 2, 3, 1}));
}

TEST(GraphLayout, AMapAtTheEndIsTakenBeforeItIsTurned) {
  GraphSource source = graph_of(
      {turn("x", "t", {0, 3, 1, 2}), relu("t", "r"), turn("r", "y", {0, 2, 3, 1})}, {1, 32, 32, 1});
  take_channels_first(source);
  ASSERT_EQ(source.nodes.size(), 1u);
  EXPECT_EQ(source.outputs[0], "r");
  EXPECT_EQ(source.notes.size(), 2u);
}

TEST(GraphLayout, ChannelsFirstStays) {
  GraphSource source = graph_of({relu("x", "y")}, {-1, 3, 64, 3});  // 3 wide, not 3 channels
  take_channels_first(source);
  EXPECT_EQ(source.inputs[0].name, "x");
  EXPECT_TRUE(source.notes.empty());
}

}  // namespace
}  // namespace graft::models
