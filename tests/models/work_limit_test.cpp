// What an import computes with a file's own graph is bounded: nodes are estimated from shapes
// before they run (closed forms here), and tiny graphs that ask for hours are refused in time.
#include "graft/models/graph/work_limit.h"

#include <gtest/gtest.h>

#include <chrono>

#include "graft/core/autograd/record.h"
#include "graft/io/onnx/model.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_module.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::AttributeType;
using io::onnx::Node;

Attribute numbers(const std::string& name, std::vector<int64_t> values) {
  return {.name = name, .type = AttributeType::ints, .ints = std::move(values)};
}
Attribute number(const std::string& name, int64_t value) {
  return {.name = name, .type = AttributeType::int_, .i = value};
}

Node work_node(const std::string& op, std::vector<std::string> inputs, std::string output,
               std::vector<Attribute> attributes = {}) {
  Node n;
  n.op_type = op;
  n.name = output + "_node";
  n.inputs = std::move(inputs);
  n.outputs = {std::move(output)};
  n.attributes = std::move(attributes);
  return n;
}

// The work beyond the pass over the inputs.
double work(const std::string& op, const std::vector<Shape>& shapes,
            std::vector<Attribute> attributes = {}, DType dtype = DType::f32) {
  std::vector<Tensor> inputs;
  std::vector<std::string> names;
  for (const Shape& shape : shapes) {
    inputs.push_back(Tensor::zeros(shape, {.dtype = dtype}));
    names.push_back(str("x", names.size()));
  }
  const Node node = work_node(op, names, "y", std::move(attributes));
  const graph::RunMode mode;
  return graph::work_of(graph::OpCall(node, 17, inputs, mode)) - graph::work_of_elements(inputs);
}

TEST(WorkLimit, ConvolutionsCountTheirMultiplyAdds) {
  // y [2,8,6,5]: each of 3 channels and a window of 3 x 2
  EXPECT_EQ(work("Conv", {{2, 3, 8, 6}, {8, 3, 3, 2}}), 2 * 8 * 6 * 5 * 3 * 3 * 2);
  EXPECT_EQ(work("Conv", {{1, 4, 8, 8}, {8, 2, 1, 1}}, {number("group", 2)}), 8 * 8 * 8 * 2);
  EXPECT_EQ(work("Conv", {{1, 3, 8, 8}, {2, 3, 3, 3}}, {numbers("strides", {2, 2})}),
            2 * 3 * 3 * 27);
  EXPECT_EQ(work("Conv", {{2, 3, 8, 6}, {8, 3, 3, 2}}, {}, DType::f64),
            8.0 * (2 * 8 * 6 * 5 * 3 * 3 * 2));
  EXPECT_EQ(work("ConvTranspose", {{1, 3, 5, 5}, {3, 4, 2, 2}}), 3 * 25 * 4 * 4);
  EXPECT_EQ(work("Conv", {{2, 3, 8, 6}, {8, 5, 3, 2}}), 0);  // the operator refuses that itself
}

TEST(WorkLimit, ProductsCountTheirMultiplyAdds) {
  EXPECT_EQ(work("MatMul", {{4, 7}, {7, 3}}), 4 * 7 * 3);
  EXPECT_EQ(work("MatMul", {{5, 1, 4, 7}, {6, 7, 3}}), 5 * 6 * 4 * 7 * 3);
  EXPECT_EQ(work("MatMul", {{7}, {7, 3}}), 7 * 3);
  EXPECT_EQ(work("Gemm", {{4, 7}, {7, 3}}), 4 * 7 * 3);
  EXPECT_EQ(work("Gemm", {{7, 4}, {3, 7}}, {number("transA", 1), number("transB", 1)}), 4 * 7 * 3);
  const auto einsum = [](const std::string& equation, const std::vector<Shape>& shapes) {
    return work("Einsum", shapes,
                {{.name = "equation", .type = AttributeType::string, .s = equation}});
  };
  EXPECT_EQ(einsum("ij,jk->ik", {{4, 7}, {7, 3}}), 4 * 7 + 4 * 7 * 3);
  EXPECT_EQ(einsum("ij,jk,kl->il", {{4, 7}, {7, 3}, {3, 5}}), 4 * 7 + 4 * 7 * 3 + 4 * 3 * 5);
  EXPECT_EQ(einsum("i,j->ij", {{1000}, {1000}}), 1000 + 1000 * 1000);
  EXPECT_EQ(einsum("...ij,...jk->...ik", {{6, 4, 7}, {6, 7, 3}}), 6 * (4 * 7 + 4 * 7 * 3));
}

TEST(WorkLimit, AttentionCountsQueriesTimesKeys) {
  EXPECT_EQ(work("Attention", {{2, 4, 5, 8}, {2, 2, 7, 8}, {2, 2, 7, 6}}), 2 * 4 * 5 * 7 * (8 + 6));
  EXPECT_EQ(work("Attention", {{2, 5, 32}, {2, 7, 16}, {2, 7, 12}},
                 {number("q_num_heads", 4), number("kv_num_heads", 2)}),
            2 * 4 * 5 * 7 * (8 + 6));
}

TEST(WorkLimit, WindowsCountTheirElements) {
  EXPECT_EQ(work("MaxPool", {{1, 2, 8, 8}}, {numbers("kernel_shape", {3, 3})}), 16 * 2 * 36 * 9);
  EXPECT_EQ(work("LRN", {{1, 8, 2, 2}}, {number("size", 5)}), 16 * 32 * 5);
  EXPECT_EQ(
      work("RoiAlign", {{1, 2, 8, 8}, {3, 4}, {3}},
           {number("output_height", 2), number("output_width", 2), number("sampling_ratio", 4)}),
      16 * 3 * 2 * 4 * 16);
  EXPECT_EQ(work("Relu", {{1, 2, 8, 8}}), 0);
}

TEST(WorkLimit, TheInnermostCountsAndTellsThatItWasReached) {
  graph::charge_work(1e30);  // nothing bounds it
  const graph::ScopedWorkLimit outer(100);
  {
    const graph::ScopedWorkLimit inner(10);
    graph::charge_work(6);
    EXPECT_THROW(graph::charge_work(6), Error);
    graph::charge_work(4);
    EXPECT_TRUE(inner.was_reached());
  }
  graph::charge_work(100);
  EXPECT_FALSE(outer.was_reached());
  EXPECT_THROW(graph::charge_work(1), Error);
  EXPECT_TRUE(outer.was_reached());
}

// data [1,3,side,side] -> nodes -> prob.
io::onnx::Model hostile(int64_t side, std::vector<Node> nodes,
                        const std::vector<std::pair<std::string, std::vector<int64_t>>>& lists) {
  io::onnx::Model model;
  model.path = "hostile.onnx";
  model.ir_version = 8;
  model.opsets = {{"", 17}};
  for (const auto& [name, values] : lists) {
    io::onnx::NamedTensor tensor;
    tensor.name = name;
    tensor.type = io::onnx::ElementType::int64;
    tensor.value = Tensor::of<int64_t>({std::ssize(values)}, values);
    model.graph.initializers.push_back(std::move(tensor));
  }
  model.graph.nodes = std::move(nodes);
  io::onnx::ValueInfo x;
  x.name = "data";
  x.type = io::onnx::ElementType::float32;
  x.has_shape = true;
  x.dims = {{1, ""}, {3, ""}, {side, ""}, {side, ""}};
  model.graph.inputs = {x};
  x.name = "prob";
  model.graph.outputs = {x};
  return model;
}

// A convolution of 3 to 80 channels whose weight, windows of 201 x 201, is made of one number.
io::onnx::Model huge_convolution() {
  return hostile(400,
                 {work_node("ConstantOfShape", {"shape"}, "w"),
                  work_node("Conv", {"data", "w"}, "c"), work_node("Relu", {"c"}, "prob")},
                 {{"shape", {80, 3, 201, 201}}});
}

// Products of 576 x 576 numbers, stretched out of 192.
io::onnx::Model huge_product() {
  return hostile(
      8,
      {work_node("Flatten", {"data"}, "f"), work_node("Tile", {"f", "times"}, "row"),
       work_node("Reshape", {"row", "column"}, "a"), work_node("Reshape", {"row", "line"}, "b"),
       work_node("MatMul", {"a", "b"}, "p"), work_node("MatMul", {"p", "p"}, "prob")},
      {{"times", {1, 3}}, {"column", {0, -1, 1}}, {"line", {0, 1, -1}}});
}

// A pool of 2 x 3 x 400 x 400 places and 40 thousand elements each; twenty times.
io::onnx::Model pools() {
  std::vector<Node> nodes;
  std::string last = "data";
  for (int i = 0; i < 20; ++i) {
    nodes.push_back(
        work_node("AveragePool", {last}, str("p", i),
                  {numbers("kernel_shape", {199, 199}), numbers("pads", {99, 99, 99, 99})}));
    last = str("p", i);
  }
  nodes.push_back(work_node("Relu", {last}, "prob"));
  return hostile(400, std::move(nodes), {});
}

std::string refusal_of(const io::onnx::Model& model, const ImportOptions& options = {}) {
  const auto begin = std::chrono::steady_clock::now();
  std::string words;
  try {
    import_graph(model, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    words = error.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  return words;
}

TEST(WorkLimit, AGraphThatAsksForHoursIsNotExecuted) {
  for (const io::onnx::Model& model : {huge_convolution(), pools()}) {
    const std::string words = refusal_of(model);
    EXPECT_NE(words.find("the graph was not executed: with 2 images of 3x400x400 it would take "
                         "more than the 500000 million multiply-adds that an import may"),
              std::string::npos)
        << words;
  }
  const std::string words = refusal_of(huge_product(), {.check_operations = 10'000'000});
  EXPECT_NE(words.find("it would take more than the 10 million multiply-adds"), std::string::npos)
      << words;
}

// A thousand sums over the same million numbers, which a node makes of one: those that would take
// too long are left to the graph's own run.
TEST(WorkLimit, FoldingEndsInTime) {
  std::vector<Node> nodes{work_node("ConstantOfShape", {"shape"}, "big")};
  std::string last = "data";
  for (int i = 0; i < 1000; ++i) {
    nodes.push_back(work_node("ReduceSum", {"big"}, str("s", i), {number("keepdims", 0)}));
    nodes.push_back(work_node("Add", {last, str("s", i)}, str("a", i)));
    last = str("a", i);
  }
  nodes.push_back(work_node("Relu", {last}, "prob"));
  const GraphSource source = read_graph(hostile(8, std::move(nodes), {{"shape", {1 << 20}}}),
                                        {.folded_operations = 1'000'000'000});
  const auto sums = std::count_if(source.nodes.begin(), source.nodes.end(),
                                  [](const Node& node) { return node.op_type == "ReduceSum"; });
  EXPECT_EQ(sums, 1000 - 58);  // of 10^9 each takes 16 x 2^20, the big one as much
}

// Without a limit, as in predict and run, nothing is refused.
TEST(WorkLimit, ARunOfTheUsersOwnIsNotBounded) {
  const NoGradGuard no_grad;
  GraphModule module(read_graph(huge_product()));
  EXPECT_EQ(module.run(std::vector<Tensor>{Tensor::zeros({1, 3, 8, 8})}).size(), 1u);
}

}  // namespace
}  // namespace graft::models
