// MXNet's .params in all four forms (tests/data/io/make_mxnet.py), and damaged in every way that
// costs little to try.
#include <gtest/gtest.h>

#include <cstring>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/formats.h"

namespace graft::io {
namespace {

std::string bytes_of_file(const std::string& name) {
  return read_text_file(GRAFT_TEST_DATA "/io/" + name, 1 << 20);
}

WeightFile parse(const std::string& bytes) {
  MemoryFile file("x.params", std::as_bytes(std::span(bytes)));
  return read_weights(file);
}

// "" when it reads. Anything but bad_input that names the file is a failure.
std::string complaint(const std::string& bytes) {
  try {
    parse(bytes);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    EXPECT_EQ(std::string(error.what()).find("x.params: "), 0u) << error.what();
    return error.what();
  }
}

testing::AssertionResult complains(const std::string& bytes, const std::string& part) {
  const std::string said = complaint(bytes);
  if (said.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "expected '" << part << "', got '" << said << "'";
}

template <class T>
std::string with(std::string bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
  return bytes;
}

class MxnetForm : public testing::TestWithParam<const char*> {
 protected:
  std::string whole_ = bytes_of_file(GetParam());
};

TEST_P(MxnetForm, HoldsTheTensorsOfTheSafetensorsFile) {
  const WeightFile file = parse(whole_);
  EXPECT_EQ(file.format, "mxnet");
  EXPECT_TRUE(file.notes.empty());
  size_t compared = 0;
  for (const auto& [name, tensor] : read_weights(GRAFT_TEST_DATA "/io/same.safetensors").tensors) {
    if (tensor.rank() == 0 && std::string_view(GetParam()) != "same_v3.params") continue;
    const Tensor other = file.tensors.at(name);
    EXPECT_EQ(other.dtype(), tensor.dtype()) << name;
    ASSERT_EQ(other.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(other.raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0)
        << name;
    ++compared;
  }
  EXPECT_EQ(file.tensors.size(), compared);
}

TEST_P(MxnetForm, CutAtEveryByte) {
  for (size_t length = 0; length < whole_.size(); ++length)
    EXPECT_NE(complaint(whole_.substr(0, length)), "") << length;
  EXPECT_TRUE(complains(whole_ + "x", "1 bytes after its last name"));
}

TEST_P(MxnetForm, EveryBitFlippedAndEveryByteMadeHuge) {
  for (size_t i = 8; i < whole_.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole_;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      complaint(changed);  // some flips only change values or names
    }
    std::string changed = whole_;
    changed.replace(i, std::min<size_t>(8, changed.size() - i), 8, '\xff');
    complaint(changed);
  }
}

INSTANTIATE_TEST_SUITE_P(Mxnet, MxnetForm,
                         testing::Values("same_v1.params", "same_v2.params", "same_v3.params",
                                         "same_legacy.params"),
                         [](const auto& file) {
                           return std::string(file.param, std::string_view(file.param).find('.'));
                         });

TEST(Mxnet, AListWithoutNames) {
  const WeightFile file = parse(bytes_of_file("unnamed.params"));
  EXPECT_EQ(file.tensors.size(), 4u);
  EXPECT_EQ(file.tensors.at("0").item(), 65535);
  EXPECT_EQ(file.tensors.at("1").item(), -3);
  EXPECT_EQ(file.tensors.at("2").dtype(), DType::bf16);
  EXPECT_EQ(file.tensors.at("2").to_doubles(), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(file.tensors.at("3").dtype(), DType::boolean);
  ASSERT_EQ(file.notes.size(), 3u);
  EXPECT_NE(file.notes[1].find("1 places"), std::string::npos);
}

// Offsets in same_v2.params: 16 number of arrays; array 0 from 24 on: magic, storage type (28),
// rank (32), extents (36).
TEST(Mxnet, FieldsThatMakeNoSense) {
  const std::string whole = bytes_of_file("same_v2.params");
  EXPECT_TRUE(complains(bytes_of_file("sparse.params"), "array 0: is a sparse array"));
  EXPECT_TRUE(complains(with<uint64_t>(whole, 16, 1), "has 1 arrays and"));
  EXPECT_TRUE(
      complains(with<uint64_t>(whole, 16, uint64_t{1} << 63), "arrays, more than the limit"));
  EXPECT_TRUE(complains(with<uint32_t>(whole, 24, 77), "array 0: has the rank 77"));
  EXPECT_TRUE(complains(with<int32_t>(whole, 28, 5), "unknown storage type 5"));
  EXPECT_TRUE(complains(with<int32_t>(whole, 32, -7), "has the rank -7"));
  EXPECT_TRUE(complains(with<int64_t>(whole, 36, int64_t{1} << 50), "array 0: shape"));
  EXPECT_TRUE(complains(with<int64_t>(whole, 36, -2), "array 0"));
  EXPECT_TRUE(complains(with<int64_t>(whole, 36, int64_t{1} << 39), "array 0: is truncated"));
  const WeightFile file = parse(whole);
  const size_t type_at = 36 + 8 * static_cast<size_t>(file.tensors.begin()->second.rank()) + 8;
  EXPECT_TRUE(complains(with<int32_t>(whole, type_at, 13), "unknown element type 13"));
}

TEST(Mxnet, NamesThatMakeNoSense) {
  const std::string whole = bytes_of_file("same_v2.params");
  const size_t name = whole.find("aux:bn1");  // the first name
  ASSERT_NE(name, std::string::npos);
  EXPECT_TRUE(complains(with<uint64_t>(whole, name - 8, uint64_t{1} << 62), "a name has"));
  EXPECT_TRUE(complains(with<uint64_t>(whole, name - 16, 3), "and 3 names"));
  const size_t index = whole.find("arg:index"), small = whole.find("arg:small");
  ASSERT_NE(small, std::string::npos);
  std::string twice = whole;
  twice.replace(index, 9, "arg:small");
  EXPECT_TRUE(complains(twice, "'small' occurs twice"));
}

}  // namespace
}  // namespace graft::io
