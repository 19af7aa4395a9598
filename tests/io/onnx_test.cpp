// The ONNX reader on files that the onnx package wrote (tests/data/io/onnx/make_onnx.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "graft/core/base/file_system.h"
#include "graft/io/onnx/model.h"
#include "graft/io/weights/weights.h"

namespace graft::io::onnx {
namespace {

std::string data(const std::string& name) {
  return std::string(GRAFT_TEST_DATA "/io/onnx/") + name;
}

const NamedTensor& tensor_named(const Model& model, const std::string& name) {
  for (const NamedTensor& tensor : model.graph.initializers)
    if (tensor.name == name) return tensor;
  throw std::runtime_error("no tensor " + name);
}

class ElementTypes : public testing::TestWithParam<const char*> {};

TEST_P(ElementTypes, KeepTheirValues) {
  const Model model = read_model(data(GetParam()));
  const auto values = [&](const char* name, DType type) {
    const NamedTensor& tensor = tensor_named(model, name);
    EXPECT_EQ(tensor.value.dtype(), type) << name;
    EXPECT_EQ(tensor.value.shape(), Shape({2, 2})) << name;
    EXPECT_EQ(tensor.dims, (std::vector<int64_t>{2, 2})) << name;
    return tensor.value.to_doubles();
  };
  using Doubles = std::vector<double>;
  EXPECT_EQ(values("float32", DType::f32), (Doubles{0.5, -2, 3.25, 1e30f}));
  EXPECT_EQ(values("float64", DType::f64), (Doubles{0.1, -2, 1e300, 4}));
  EXPECT_EQ(values("float16", DType::f16), (Doubles{0.5, -2, 65504, std::ldexp(1, -24)}));
  EXPECT_EQ(values("bfloat16", DType::bf16), (Doubles{0.5, -2, 3, std::ldexp(1, 100)}));
  EXPECT_EQ(values("int32", DType::i32), (Doubles{-2147483648.0, 2147483647.0, 0, 7}));
  EXPECT_EQ(values("int16", DType::i32), (Doubles{-32768, 32767, 0, 7}));
  EXPECT_EQ(values("int8", DType::i8), (Doubles{-128, 127, 0, 7}));
  EXPECT_EQ(values("uint32", DType::i64), (Doubles{0, 4294967295.0, 1, 7}));
  EXPECT_EQ(values("uint16", DType::i32), (Doubles{0, 65535, 1, 7}));
  EXPECT_EQ(values("uint8", DType::u8), (Doubles{0, 255, 1, 7}));
  EXPECT_EQ(values("bool", DType::boolean), (Doubles{0, 1, 1, 0}));
  values("int64", DType::i64);
  values("uint64", DType::i64);
  constexpr auto low = std::numeric_limits<int64_t>::min(),
                 high = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(tensor_named(model, "int64").value.data<int64_t>()[0], low);
  EXPECT_EQ(tensor_named(model, "int64").value.data<int64_t>()[1], high);
  EXPECT_EQ(tensor_named(model, "uint64").value.data<int64_t>()[1], high);
  EXPECT_EQ(tensor_named(model, "uint16").type, ElementType::uint16);
  ASSERT_EQ(model.notes.size(), 1u);
  EXPECT_EQ(model.notes[0].substr(0, 9), "4 tensors");
}

TEST_P(ElementTypes, ScalarsEmptyTensorsAndTexts) {
  const Model model = read_model(data(GetParam()));
  EXPECT_EQ(tensor_named(model, "scalar").value.shape(), Shape{});
  EXPECT_EQ(tensor_named(model, "scalar").value.item(), 2.5);
  EXPECT_EQ(tensor_named(model, "empty").value.shape(), Shape({0, 3}));
  EXPECT_FALSE(tensor_named(model, "text").value.defined());
  EXPECT_EQ(tensor_named(model, "text").strings,
            (std::vector<std::string>{"one", std::string("t\0w\xc3\xb6", 5)}));
}

INSTANTIATE_TEST_SUITE_P(Onnx, ElementTypes, testing::Values("typed_fields.onnx", "raw_data.onnx"),
                         [](const auto& file) {
                           return std::string(file.param, std::string_view(file.param).find('.'));
                         });

TEST(Onnx, TypesThatGraftLacksAreRefusedByName) {
  for (const char* name :
       {"float8e4m3fn", "float8e5m2", "complex64", "complex128", "int4", "uint4", "float4e2m1"}) {
    const std::string path = data(str("refused_", name, ".onnx"));
    try {
      read_model(path);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      const std::string expected =
          str(path, ": tensor 'w': has the element type ", name, ", which is not supported");
      EXPECT_EQ(std::string(error.what()), expected);
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
    }
  }
}

TEST(Onnx, TheModelsOwnFields) {
  const Model model = read_model(data("attributes.onnx"));
  EXPECT_EQ(model.path, data("attributes.onnx"));
  EXPECT_EQ(model.ir_version, 9);
  EXPECT_EQ(model.model_version, 42);
  EXPECT_EQ(model.producer_name, "make_onnx");
  EXPECT_EQ(model.producer_version, "1.2");
  EXPECT_EQ(model.domain, "org.example.models");
  ASSERT_EQ(model.opsets.size(), 2u);
  EXPECT_EQ(model.opsets[0].domain, "");
  EXPECT_EQ(model.opsets[0].version, 18);
  EXPECT_EQ(model.opsets[1].domain, "org.example");
  EXPECT_EQ(model.opsets[1].version, 2);
  EXPECT_EQ(model.metadata,
            (std::map<std::string, std::string>{{"author", "nobody"}, {"empty", ""}}));
  EXPECT_EQ(model.graph.name, "attributes");
}

TEST(Onnx, DeclaredValues) {
  const Graph graph = read_model(data("attributes.onnx")).graph;
  ASSERT_EQ(graph.inputs.size(), 2u);
  const ValueInfo& x = graph.inputs[0];
  EXPECT_EQ(x.name, "x");
  EXPECT_EQ(x.kind, "tensor");
  EXPECT_EQ(x.type, ElementType::float32);
  ASSERT_EQ(x.dims.size(), 4u);
  EXPECT_EQ(x.dims[0].symbol, "N");
  EXPECT_EQ(x.dims[0].value, -1);
  EXPECT_EQ(x.dims[1].value, 3);
  EXPECT_EQ(x.dims[2].value, -1);
  EXPECT_EQ(x.dims[2].symbol, "");
  EXPECT_EQ(x.dims[3].value, 4);
  EXPECT_EQ(graph.inputs[1].kind, "sequence");
  ASSERT_EQ(graph.outputs.size(), 2u);
  EXPECT_TRUE(graph.outputs[0].has_shape);
  EXPECT_FALSE(graph.outputs[1].has_shape);
  ASSERT_EQ(graph.value_infos.size(), 1u);
  EXPECT_EQ(graph.value_infos[0].type, ElementType::int32);
}

TEST(Onnx, AttributesOfEveryKind) {
  const Model model = read_model(data("attributes.onnx"));
  ASSERT_EQ(model.graph.nodes.size(), 1u);
  const Node& node = model.graph.nodes[0];
  EXPECT_EQ(node.name, "all");
  EXPECT_EQ(node.op_type, "Everything");
  EXPECT_EQ(node.domain, "org.example");
  EXPECT_EQ(node.inputs, (std::vector<std::string>{"x", "", "w"}));
  EXPECT_EQ(node.outputs, (std::vector<std::string>{"y", "second"}));
  EXPECT_EQ(node.attributes.size(), 13u);
  const auto attribute = [&](const char* name) -> const Attribute& { return *node.find(name); };
  EXPECT_EQ(attribute("f").type, AttributeType::float_);
  EXPECT_EQ(attribute("f").f, 0.25f);
  EXPECT_EQ(attribute("i").type, AttributeType::int_);
  EXPECT_EQ(attribute("i").i, -7);
  EXPECT_EQ(attribute("s").s, "same");
  EXPECT_EQ(attribute("t").tensors.at(0).value.to_doubles(), (std::vector<double>{3, 4}));
  EXPECT_EQ(attribute("g").type, AttributeType::graph);
  EXPECT_EQ(attribute("g").graphs.at(0).nodes.at(0).op_type, "Relu");
  EXPECT_EQ(attribute("fs").floats, (std::vector<float>{1.5f, -2.5f}));
  EXPECT_EQ(attribute("is").ints, (std::vector<int64_t>{1, INT64_MIN, INT64_MAX}));
  EXPECT_EQ(attribute("ss").strings, (std::vector<std::string>{"a", "", "c"}));
  EXPECT_EQ(attribute("ts").tensors.size(), 2u);
  EXPECT_EQ(attribute("gs").graphs.size(), 2u);
  EXPECT_EQ(attribute("tp").type, AttributeType::type_proto);
  EXPECT_EQ(attribute("none").type, AttributeType::ints);
  EXPECT_TRUE(attribute("none").ints.empty());
  EXPECT_EQ(attribute("untyped").type, AttributeType::int_);
  EXPECT_EQ(attribute("untyped").i, 9);
  EXPECT_EQ(node.find("absent"), nullptr);
}

TEST(Onnx, GraphsWithinGraphs) {
  const Graph graph = read_model(data("branches.onnx")).graph;
  const Attribute* then = graph.nodes.at(0).find("then_branch");
  ASSERT_NE(then, nullptr);
  const Node& inner = then->graphs.at(0).nodes.at(0);
  EXPECT_EQ(inner.op_type, "If");
  const Graph& deep = inner.find("else_branch")->graphs.at(0);
  EXPECT_EQ(deep.nodes.at(0).op_type, "Abs");
  EXPECT_EQ(deep.initializers.at(0).name, "deep_else_w");
  EXPECT_EQ(deep.initializers.at(0).value.to_doubles(), std::vector<double>{9});
}

TEST(Onnx, ModelLocalFunctions) {
  const Model model = read_model(data("function.onnx"));
  ASSERT_EQ(model.functions.size(), 1u);
  const Function& function = model.functions[0];
  EXPECT_EQ(function.name, "Leaky");
  EXPECT_EQ(function.domain, "org.example");
  EXPECT_EQ(function.inputs, std::vector<std::string>{"a"});
  EXPECT_EQ(function.attributes, std::vector<std::string>{"required"});
  ASSERT_EQ(function.default_attributes.size(), 1u);
  EXPECT_EQ(function.default_attributes[0].f, 0.125f);
  EXPECT_EQ(function.nodes.at(0).find("alpha")->reference, "slope");
  EXPECT_EQ(function.opsets.at(0).version, 17);
}

TEST(Onnx, AsWeightsInitializersAndConstantsCount) {
  const Model model = read_model(data("constants.onnx"));
  EXPECT_EQ(model.ir_version, 3);
  EXPECT_EQ(model.opsets.at(0).version, 6);
  EXPECT_EQ(model.graph.inputs.size(), 2u);  // w is an input and an initializer, as IR 3 wants it
  const WeightFile file = read_weights(data("constants.onnx"));
  EXPECT_EQ(file.format, "onnx");
  EXPECT_EQ(file.tensors.size(), 6u);  // a text is none
  EXPECT_EQ(file.tensors.at("w").to_doubles(), (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(file.tensors.at("tensor").to_doubles(), (std::vector<double>{3, 4}));
  EXPECT_EQ(file.tensors.at("float").item(), 1.5);
  EXPECT_EQ(file.tensors.at("int").item(), -3);
  EXPECT_EQ(file.tensors.at("floats").to_doubles(), (std::vector<double>{1, 2}));
  EXPECT_EQ(file.tensors.at("ints").dtype(), DType::i64);
  EXPECT_EQ(file.tensors.at("ints").to_doubles(), (std::vector<double>{4, 5, 6}));
}

TEST(Onnx, TheSameStateDictAsInTheOtherFormats) {
  const WeightFile onnx = read_weights(GRAFT_TEST_DATA "/io/same.onnx");
  const WeightFile other = read_weights(GRAFT_TEST_DATA "/io/same.safetensors");
  ASSERT_EQ(onnx.tensors.size(), other.tensors.size());
  EXPECT_EQ(onnx.metadata.at("producer_name"), "make_weights");
  for (const auto& [name, tensor] : other.tensors) {
    EXPECT_EQ(onnx.tensors.at(name).shape(), tensor.shape()) << name;
    EXPECT_EQ(onnx.tensors.at(name).dtype(), tensor.dtype()) << name;
    EXPECT_EQ(
        std::memcmp(onnx.tensors.at(name).raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())),
        0)
        << name;
  }
}

TEST(Onnx, ExternalDataBesideTheModel) {
  const WeightFile file = read_weights(data("external.onnx"));
  EXPECT_EQ(file.tensors.at("first").to_doubles(), (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(file.tensors.at("second").to_doubles(), (std::vector<double>{0, 10, 20, 30, 40}));
  EXPECT_THROW(parse_model(read_file(data("external.onnx"), 1 << 20), "bytes"),
               Error);  // bytes have no folder
}

TEST(Onnx, SingleTensors) {
  const NamedTensor tensor = read_tensor(data("tensor.pb"));
  EXPECT_EQ(tensor.name, "input_0");
  EXPECT_EQ(tensor.value.shape(), Shape({2, 2}));
  EXPECT_EQ(tensor.value.to_doubles(), (std::vector<double>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace graft::io::onnx
