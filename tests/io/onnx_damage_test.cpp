// Damaged and hostile ONNX files: always an Error that names the file, never a crash, a hang or
// much memory.
#include <gtest/gtest.h>

#include <filesystem>

#include "graft/core/base/file_system.h"
#include "graft/io/onnx/model.h"
#include "graft/tests/io/proto_writer.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io::onnx {
namespace {

std::string data(const std::string& name) {
  return std::string(GRAFT_TEST_DATA "/io/onnx/") + name;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// The reader's complaint; "" when it has none.
std::string complaint(const std::string& bytes, const ReadLimits& limits = {}) {
  try {
    parse_model(bytes_of(bytes), "m.onnx", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    EXPECT_EQ(std::string(error.what()).rfind("m.onnx: ", 0), 0u) << error.what();
    return error.what();
  }
  return "";
}

testing::AssertionResult complains(const std::string& bytes, const std::string& part,
                                   const ReadLimits& limits = {}) {
  const std::string said = complaint(bytes, limits);
  if (said.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "expected '" << part << "', got '" << said << "'";
}

class Damaged : public testing::TestWithParam<const char*> {
 protected:
  std::string whole_ = read_text_file(data(GetParam()), 1 << 20);
};

TEST_P(Damaged, CutAtEveryByte) {
  for (size_t length = 0; length < whole_.size(); ++length)
    complaint(whole_.substr(0, length));  // some prefixes are whole models: fields may end anywhere
  EXPECT_NE(complaint(whole_.substr(0, whole_.size() / 2)), "");
  EXPECT_EQ(complaint(whole_), "");
}

TEST_P(Damaged, EveryBitFlipped) {
  for (size_t i = 0; i < whole_.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole_;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      complaint(changed);  // some flips only change values
    }
}

TEST_P(Damaged, EveryByteMadeHuge) {
  for (size_t i = 0; i < whole_.size(); ++i) {
    std::string changed = whole_;
    changed[i] = '\xff';
    complaint(changed);
    changed.insert(i, 8, '\xff');  // a number of ten bytes
    complaint(changed);
  }
}

INSTANTIATE_TEST_SUITE_P(Onnx, Damaged,
                         testing::Values("typed_fields.onnx", "raw_data.onnx", "attributes.onnx",
                                         "branches.onnx", "function.onnx", "constants.onnx"),
                         [](const auto& file) {
                           return std::string(file.param, std::string_view(file.param).find('.'));
                         });

TEST(OnnxDamage, WhatIsNoModel) {
  EXPECT_TRUE(complains("", "has no graph"));
  EXPECT_TRUE(complains("hello", "damaged"));
  EXPECT_TRUE(complains(ProtoWriter().integer(1, 8).bytes(), "has no graph"));
  EXPECT_TRUE(complains(ProtoWriter().message(7, {}).bytes(), "has no version"));
  EXPECT_TRUE(
      complains(ProtoWriter().integer(1, 8).message(7, {}).message(7, {}).bytes(), "two graphs"));
  EXPECT_TRUE(complains(ProtoWriter().text(1, "8").bytes(), "another type than expected"));
  EXPECT_TRUE(complains(ProtoWriter().tag(7, 3).bytes(), "wire type 3"));
  EXPECT_TRUE(complains(ProtoWriter().tag(0, 0).varint(1).bytes(), "field number 0"));
}

TEST(OnnxDamage, TensorsWhoseDataDoesNotFitTheirShape) {
  const auto with = [](ProtoWriter tensor) { return model_with_tensor(tensor); };
  EXPECT_TRUE(
      complains(with(tensor_proto("w", 1, {2}).text(9, "1234567")), "tensor 'w': has 7 bytes"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 1, {2})), "has 0 values"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 1, {2}).text(4, "12345678abcd")), "has 3 values"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 1, {2}).text(4, "123456")), "cut off"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 1, {-1})), "damaged shape"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 1, {int64_t{1} << 40})), "extent"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 1, {4194305, 4194305, 211106198978})),
                        "w"));  // the product wraps
  EXPECT_TRUE(complains(
      with(tensor_proto("w", 1, {0, int64_t{1} << 39, int64_t{1} << 39}).text(9, "")), ""));
  EXPECT_TRUE(
      complains(with(tensor_proto("w", 1, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}).text(9, "abcd")), "w"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 3, {1}).integer(5, 128)), "has the value 128"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 2, {1}).integer(5, -1)), "has the value -1"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 9, {1}).integer(5, 2)), "boolean"));
  EXPECT_TRUE(
      complains(with(tensor_proto("w", 12, {1}).integer(11, int64_t{1} << 32)), "cannot hold"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 13, {1}).integer(11, -1)), "too large for int64"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 8, {2}).text(6, "one")), "1 texts"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 99, {1})), "number 99"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 0, {1})), "undefined"));
  EXPECT_TRUE(complains(with(tensor_proto("w", 1, {1}).message(3, {})), "segments"));
  EXPECT_TRUE(complains(model_with_tensor(tensor_proto("", 1, {1})), "an initializer"));
}

TEST(OnnxDamage, SparseTensorsAreRefused) {
  EXPECT_TRUE(complains(model_proto(ProtoWriter().message(15, {})), "sparse"));
  const ProtoWriter node = ProtoWriter().text(3, "n").text(4, "Op").message(
      5, ProtoWriter().text(1, "a").message(22, {}));
  EXPECT_TRUE(complains(model_proto(ProtoWriter().message(1, node)),
                        "node 'n': attribute 'a' is a sparse tensor"));
}

TEST(OnnxDamage, NodesAndAttributesThatLackSomething) {
  EXPECT_TRUE(complains(model_proto(ProtoWriter().message(1, ProtoWriter().text(3, "n"))),
                        "node 'n' has no operator type"));
  const ProtoWriter tensor = ProtoWriter().text(1, "a").integer(20, 4);
  const ProtoWriter node = ProtoWriter().text(4, "Op").message(5, tensor);
  EXPECT_TRUE(complains(model_proto(ProtoWriter().message(1, node)),
                        "attribute 'a' has not exactly one value"));
}

TEST(OnnxDamage, DeepNestingEnds) {
  ProtoWriter graph;
  for (int i = 0; i < 100; ++i) {
    const ProtoWriter attribute = ProtoWriter().text(1, "g").message(6, graph);
    graph = ProtoWriter().message(1, ProtoWriter().text(4, "If").message(5, attribute));
  }
  EXPECT_TRUE(complains(model_proto(graph), "nested deeper than 64"));
}

TEST(OnnxDamage, ManySmallRecordsStayWithinTheBudget) {
  ProtoWriter graph;
  for (int i = 0; i < 2'000'000; ++i)
    graph.message(11, {});  // two bytes each, ValueInfos of more than a hundred
  EXPECT_TRUE(complains(model_proto(graph), "unpacks to much more than its own size"));
  ReadLimits limits;
  limits.nodes = 3;
  ProtoWriter nodes;
  for (int i = 0; i < 4; ++i) nodes.message(1, ProtoWriter().text(4, "Relu"));
  EXPECT_TRUE(complains(model_proto(nodes), "more than 3 nodes", limits));
  limits.tensors = 1;
  ProtoWriter tensors;
  for (int i = 0; i < 2; ++i) tensors.message(5, tensor_proto(str(i), 1, {0}));
  EXPECT_TRUE(complains(model_proto(tensors), "more than 1 tensors", limits));
  limits.protobuf_bytes = 10;
  EXPECT_TRUE(complains(model_proto(tensors), "more than the limit of 10", limits));
}

// External data.

class External : public testing::Test {
 protected:
  // The complaint about a model whose one tensor of `elements` floats is at `location`.
  std::string reading(const ProtoWriter& tensor) {
    const std::string path = folder_ / "model/m.onnx";
    write_file_atomically(path, model_with_tensor(tensor));
    try {
      const Model model = read_model(path);
      return str("values ", model.graph.initializers.at(0).value.to_doubles().at(0));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
      EXPECT_EQ(std::string(error.what()).rfind(path + ": tensor 'w': ", 0), 0u) << error.what();
      return error.what();
    }
  }
  testing::AssertionResult says(const ProtoWriter& tensor, const std::string& part) {
    const std::string said = reading(tensor);
    if (said.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "expected '" << part << "', got '" << said << "'";
  }
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "model/sub");
    const std::vector<float> values{1, 2, 3, 4};
    const std::string bytes(reinterpret_cast<const char*>(values.data()), 16);
    for (const char* name : {"model/w.bin", "model/sub/w.bin", "outside.bin"})
      write_file_atomically(folder_ / name, bytes);
  }
  TemporaryFolder folder_;
};

TEST_F(External, IsReadBesideTheModelAndBelow) {
  EXPECT_TRUE(says(external_tensor(4, "w.bin"), "values 1"));
  EXPECT_TRUE(says(external_tensor(2, "w.bin", "8", "8"), "values 3"));
  EXPECT_TRUE(says(external_tensor(4, "sub/w.bin", "0", "16"), "values 1"));
  EXPECT_TRUE(says(external_tensor(4, "./w.bin"), "values 1"));
}

TEST_F(External, NothingOutsideOfTheModelsFolder) {
  for (const std::string& location :
       {std::string("../outside.bin"), std::string("sub/../../outside.bin"),
        std::string("sub/../w.bin"), folder_ / "outside.bin", folder_ / "model/w.bin",
        std::string("/etc/passwd"), std::string("//etc/passwd")})
    EXPECT_TRUE(says(external_tensor(4, location), location)) << location;
}

TEST_F(External, NoLinks) {
  namespace fs = std::filesystem;
  fs::create_symlink(folder_ / "outside.bin", folder_ / "model/link.bin");
  fs::create_directory_symlink(folder_.path(), folder_ / "model/up");
  fs::create_hard_link(folder_ / "outside.bin", folder_ / "model/hard.bin");
  for (const char* location : {"link.bin", "up/outside.bin", "hard.bin"})
    EXPECT_TRUE(says(external_tensor(4, location), location)) << location;
}

TEST_F(External, NoFoldersAndNothingAbsent) {
  EXPECT_TRUE(says(external_tensor(4, "sub"), "sub"));
  EXPECT_TRUE(says(external_tensor(4, "."), "."));
  EXPECT_TRUE(says(external_tensor(4, "absent.bin"), "absent.bin"));
  EXPECT_TRUE(says(external_tensor(4, std::string("w.bin\0x", 7)), "w"));
  EXPECT_TRUE(says(external_tensor(4, std::string(100'000, 'a')), "aaa"));
  EXPECT_TRUE(says(external_tensor(4, ""), "not in which"));
  EXPECT_TRUE(says(external_tensor(4, "*/_ORT_MEM_ADDR_/*"), "memory of another program"));
}

TEST_F(External, OffsetsAndLengthsMustFit) {
  EXPECT_TRUE(says(external_tensor(5, "w.bin"), "is truncated: 20 bytes at 0 are outside of 16"));
  EXPECT_TRUE(says(external_tensor(4, "w.bin", "4"), "is truncated: 16 bytes at 4"));
  EXPECT_TRUE(says(external_tensor(4, "w.bin", "9223372036854775807"), "is truncated"));
  EXPECT_TRUE(
      says(external_tensor(4, "w.bin", "0", "12"), "needs 16 bytes, its external data has 12"));
  EXPECT_TRUE(says(external_tensor(4, "w.bin", "-4"), "offset '-4'"));
  EXPECT_TRUE(says(external_tensor(4, "w.bin", "0", "16x"), "length '16x'"));
  EXPECT_TRUE(says(external_tensor(4, "w.bin", "99999999999999999999"), "offset '99999"));
  EXPECT_TRUE(says(external_tensor(int64_t{1} << 38, "w.bin"), "is truncated"));
}

TEST_F(External, TensorsMayNotShareBytesWithoutEnd) {
  write_file_atomically(folder_ / "model/big.bin", std::string(1 << 20, '\0'));
  ProtoWriter graph;
  for (int i = 0; i < 100; ++i) graph.message(5, external_tensor(1 << 18, "big.bin"));
  write_file_atomically(folder_ / "model/m.onnx", model_proto(graph));
  EXPECT_THROW(read_model(folder_ / "model/m.onnx"), Error);
}

}  // namespace
}  // namespace graft::io::onnx
