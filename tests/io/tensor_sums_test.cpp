// Checksums in safetensors files: every changed byte is found, or changes nothing; other programs'
// files need none; and what may stand behind a header.
#include "graft/io/weights/tensor_sums.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/formats.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

StateDict some_tensors() {
  StateDict tensors;
  tensors.add("conv.weight", Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}));
  tensors.add("twin", Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6}));
  tensors.add("counts", Tensor::of<int64_t>({2}, {7, -8}));
  tensors.add("empty", Tensor::zeros({0, 4}));
  return tensors;
}

std::string written(const StateDict& tensors, const Metadata& metadata) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f", tensors, metadata);
  return read_text_file(folder / "f", 1 << 20);
}

WeightFile read_bytes(const std::string& bytes) {
  MemoryFile file("f.safetensors", std::as_bytes(std::span(bytes)));
  return read_safetensors(file);
}

std::string refusal_of(const std::string& bytes) {
  try {
    read_bytes(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "no error";
}

// A file of another header around the same data.
std::string with_header(const std::string& file, const std::string& header) {
  uint64_t length;
  std::memcpy(&length, file.data(), 8);
  const uint64_t other = header.size();
  return std::string(reinterpret_cast<const char*>(&other), 8) + header + file.substr(8 + length);
}
std::string header_of(const std::string& file) {
  uint64_t length;
  std::memcpy(&length, file.data(), 8);
  return file.substr(8, length);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(TensorSums, AreReadAndTakenOutOfTheMetadata) {
  const WeightFile file = read_bytes(written(some_tensors(), {{"graft.card", "{}"}}));
  EXPECT_EQ(file.metadata, (Metadata{{"graft.card", "{}"}}));
  EXPECT_TRUE(file.notes.empty());
  EXPECT_EQ(written(file.tensors, file.metadata), written(some_tensors(), {{"graft.card", "{}"}}));
}

TEST(TensorSums, NoChangedByteIsTaken) {
  const Metadata metadata = {{"format", "pt"}, {"graft.card", "{\"labels\": [\"\xc3\xa9\"]}"}};
  const std::string whole = written(some_tensors(), metadata);
  int harmless = 0;
  for (size_t at = 0; at < whole.size(); ++at)
    for (const int change : {1 << at % 8, 0x20, 0xff, whole[at] ^ '0', whole[at] ^ '"'}) {
      if (change == 0) continue;
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      try {
        const WeightFile file = read_bytes(damaged);
        EXPECT_EQ(written(file.tensors, file.metadata), whole) << "byte " << at << " ^ " << change;
        ++harmless;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
      }
    }
  EXPECT_LT(harmless, 30);  // spaces behind the header, digits of checksums in capitals
}

TEST(TensorSums, DamageIsNamedWithItsTensor) {
  std::string damaged = written(some_tensors(), {});
  damaged.back() = static_cast<char>(damaged.back() ^ 4);  // of "twin", the last
  EXPECT_TRUE(has(refusal_of(damaged), "tensor 'twin': its checksum is wrong")) << damaged;
  const std::string file = written(some_tensors(), {{"graft.card", "{}"}});
  std::string header = header_of(file);
  header.replace(header.find("[2,3]"), 5, "[3,2]");  // of "conv.weight"
  EXPECT_TRUE(has(refusal_of(with_header(file, header)), "tensor 'conv.weight': its checksum"));
  header = header_of(file);
  header.replace(header.find("\"F32\""), 5, "\"I32\"");
  EXPECT_TRUE(has(refusal_of(with_header(file, header)), "tensor 'conv.weight': its checksum"));
  header = header_of(file);
  header.replace(header.find("\"{}\""), 4, "\"[]\"");
  EXPECT_TRUE(has(refusal_of(with_header(file, header)), "its metadata does not fit"));
}

// As Python's safetensors would write it again: another order of keys and of metadata, other
// spaces.
TEST(TensorSums, AFileWrittenAgainUnchangedKeepsThem) {
  const std::string file = written(some_tensors(), {{"graft.card", "{}"}, {"format", "pt"}});
  const auto header = nlohmann::json::parse(header_of(file));
  nlohmann::ordered_json turned = nlohmann::ordered_json::object();
  for (auto item = header.rbegin(); item != header.rend(); ++item)
    turned[item.key()] = item.value();
  const WeightFile again = read_bytes(with_header(file, turned.dump(3)));
  EXPECT_EQ(again.tensors.size(), 4u);
  EXPECT_TRUE(again.notes.empty());
}

TEST(TensorSums, OtherProgramsFilesNeedNone) {
  const std::string file = written(some_tensors(), {{"made by", "somebody"}});
  auto header = nlohmann::json::parse(header_of(file));
  for (const char* key : {kTensorSumsKey, kMetadataSumKey}) header["__metadata__"].erase(key);
  EXPECT_TRUE(read_bytes(with_header(file, header.dump())).notes.empty());
  header["__metadata__"]["graft.card"] = "{}";  // an older graft's
  const WeightFile old = read_bytes(with_header(file, header.dump()));
  ASSERT_EQ(old.notes.size(), 1u);
  EXPECT_TRUE(has(old.notes[0], "no checksums"));
  header["__metadata__"][kMetadataSumKey] = "00000000";
  EXPECT_TRUE(has(refusal_of(with_header(file, header.dump())), "half of its checksums"));
}

TEST(SafetensorsHeader, NothingButSpacesMayStandBehindTheJson) {
  const std::string file = written(some_tensors(), {});
  std::string header = header_of(file);
  while (header.back() == ' ') header.pop_back();
  EXPECT_EQ(refusal_of(with_header(file, header + "   \n")), "no error");
  const std::string zero(1, '\0');
  for (const std::string& behind : {zero, zero + "anything", "  " + zero + "{}", std::string("{}"),
                                    std::string("}"), std::string("x"), std::string("\xff")})
    EXPECT_NE(refusal_of(with_header(file, header + behind)), "no error") << behind;
  EXPECT_TRUE(has(refusal_of(with_header(file, header + zero)), "a zero byte"));
}

}  // namespace
}  // namespace graft::io
