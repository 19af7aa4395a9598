// The readers and writers of safetensors and NPZ, on files that Python wrote
// (tests/data/io/make_weights.py).
#include "graft/io/weights/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/io/weights/formats.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/support/zip_writer.h"

namespace graft::io {
namespace {

std::string data(const std::string& name) { return std::string(GRAFT_TEST_DATA "/io/") + name; }

// Empty when equal in names, types, shapes and bits, whatever the order.
std::string difference(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return str(a.size(), " tensors, not ", b.size());
  for (const auto& [name, tensor] : a) {
    const Tensor other = b.find(name);
    if (!other.defined()) return name + " is missing";
    if (other.dtype() != tensor.dtype()) return str(name, " is ", name_of(other.dtype()));
    if (!(other.shape() == tensor.shape()))
      return str(name, " is ", other.shape(), ", not ", tensor.shape());
    if (std::memcmp(tensor.raw(), other.raw(), static_cast<size_t>(tensor.bytes())) != 0)
      return name + " differs";
  }
  return "";
}

std::string message_of(const std::string& path) {
  try {
    read_weights(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Weights, SafetensorsHoldsWhatPythonWrote) {
  const WeightFile file = read_weights(data("same.safetensors"));
  EXPECT_EQ(file.format, "safetensors");
  EXPECT_EQ(file.metadata.at("made by"), "make_weights.py");
  EXPECT_EQ(file.tensors.size(), 10u);
  EXPECT_EQ(file.tensors.at("conv1.weight").shape(), Shape({4, 3, 3, 3}));
  EXPECT_EQ(file.tensors.at("fc.weight").dtype(), DType::f16);
  EXPECT_EQ(file.tensors.at("bn1.num_batches_tracked").data<int64_t>()[0], 7);
  EXPECT_EQ(file.tensors.at("bn1.num_batches_tracked").rank(), 0);
  EXPECT_EQ(file.tensors.at("empty").numel(), 0);
  EXPECT_TRUE(std::isnan(file.tensors.at("special").data<float>()[4]));
  EXPECT_EQ(file.roots, std::vector<std::string>{""});
}

TEST(Weights, TheSameStateDictHasTheSameBitsInEveryFormat) {
  const WeightFile first = read_weights(data("same.safetensors"));
  for (const char* name : {"same.npz", "same_deflated.npz", "same.pth", "same_legacy.pth"}) {
    const WeightFile other = read_weights(data(name));
    EXPECT_EQ(difference(first.tensors, other.tensors), "") << name;
    EXPECT_TRUE(other.notes.empty()) << name;
  }
}

TEST(Weights, WritingAndReadingBackKeepsTheBits) {
  const TemporaryFolder folder;
  const WeightFile first = read_weights(data("same.safetensors"));
  write_safetensors(folder / "a", first.tensors, {{"card", "{\"x\": 1}"}, {"format", "pt"}});
  write_npz(folder / "b", first.tensors);
  const WeightFile a = read_weights(folder / "a"), b = read_weights(folder / "b");
  EXPECT_EQ(difference(first.tensors, a.tensors), "");
  EXPECT_EQ(difference(first.tensors, b.tensors), "");
  EXPECT_EQ(a.metadata.at("card"), "{\"x\": 1}");
  EXPECT_EQ(b.format, "npz");
}

// A header of 640 bytes, 0x280, begins with the two bytes of a pickle of protocol 2.
TEST(Weights, AHeaderOfAnyLengthIsSafetensors) {
  const TemporaryFolder folder;
  StateDict tensors;
  tensors.add("w", Tensor::full({2}, 3));
  std::set<unsigned> second_bytes;
  for (size_t pad = 0; pad < 1600; pad += 8) {
    write_safetensors(folder / "m.safetensors", tensors, {{"pad", std::string(pad, 'x')}});
    const auto bytes = read_file(folder / "m.safetensors", 1 << 20);
    if (bytes[0] == std::byte{0x80}) second_bytes.insert(std::to_integer<unsigned>(bytes[1]));
    ASSERT_EQ(read_weights(folder / "m.safetensors").format, "safetensors") << pad;
  }
  for (const unsigned protocol : {2u, 3u, 4u, 5u}) EXPECT_TRUE(second_bytes.contains(protocol));
}

TEST(Weights, WrittenBytesDoNotDependOnTheOrderOfTensors) {
  const TemporaryFolder folder;
  const WeightFile first = read_weights(data("same.safetensors"));
  StateDict reversed;
  for (auto entry = first.tensors.end(); entry != first.tensors.begin();) {
    --entry;
    reversed.add(entry->first, entry->second);
  }
  write_safetensors(folder / "a", first.tensors, {});
  write_safetensors(folder / "b", reversed, {});
  EXPECT_EQ(sha256_of_file(folder / "a"), sha256_of_file(folder / "b"));
  write_npz(folder / "c", first.tensors);
  write_npz(folder / "d", reversed);
  EXPECT_EQ(sha256_of_file(folder / "c"), sha256_of_file(folder / "d"));
}

TEST(Weights, ChannelsLastTensorsAreWrittenInLogicalOrder) {
  const TemporaryFolder folder;
  const Tensor x = read_weights(data("same.npz")).tensors.at("conv1.weight");
  StateDict tensors;
  tensors.add("x", x.to(MemoryFormat::channels_last));
  write_safetensors(folder / "a", tensors, {});
  write_npz(folder / "b", tensors);
  for (const char* name : {"a", "b"})
    EXPECT_EQ(read_weights(folder / name).tensors.at("x").to_doubles(), x.to_doubles());
}

TEST(Weights, WhatCannotBeWrittenIsRefused) {
  const TemporaryFolder folder;
  StateDict tensors;
  tensors.add("w", Tensor::zeros({2}, {.dtype = DType::bf16}));
  EXPECT_THROW(write_npz(folder / "a", tensors), Error);
  EXPECT_NO_THROW(write_safetensors(folder / "a", tensors, {}));
  tensors.add("\xff", Tensor::zeros({2}));
  EXPECT_THROW(write_safetensors(folder / "a", tensors, {}), Error);
  EXPECT_EQ(read_weights(folder / "a").tensors.size(), 1u);  // the old file is still there
}

TEST(Weights, NumpysOtherForms) {
  const WeightFile file = read_weights(data("forms.npz"));
  std::vector<double> expected(24);
  for (size_t i = 0; i < 24; ++i) expected[i] = static_cast<double>(i);
  EXPECT_EQ(file.tensors.at("fortran").to_doubles(), expected);
  EXPECT_EQ(file.tensors.at("int16").dtype(), DType::i32);
  EXPECT_EQ(file.tensors.at("int16").to_doubles(), (std::vector<double>{-5, 300}));
  EXPECT_EQ(file.tensors.at("uint16").data<int32_t>()[0], 65535);
  EXPECT_EQ(file.tensors.at("uint32").data<int64_t>()[0], 4294967295);
  EXPECT_EQ(file.tensors.at("uint64").data<int64_t>()[0], INT64_MAX);
  EXPECT_EQ(file.tensors.at("scalar").item(), 2.5);
  ASSERT_EQ(file.notes.size(), 1u);
  EXPECT_TRUE(contains(file.notes[0], "4 tensors"));
  EXPECT_EQ(read_npy(data("version3.npy")).to_doubles(), (std::vector<double>{0, 1, 2, 3, 4, 5}));
}

TEST(Weights, NumpyArraysThatAreRefusedSayWhy) {
  const auto message = [](const char* name) -> std::string {
    try {
      read_npy(data(name));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_TRUE(contains(message("object.npy"), "Python objects")) << message("object.npy");
  EXPECT_TRUE(contains(message("uint64_too_large.npy"), "9223372036854775808"))
      << message("uint64_too_large.npy");
  EXPECT_TRUE(contains(message("structured.npy"), "named fields")) << message("structured.npy");
}

// An array as NumPy writes it: header of version 1, then `bytes`.
std::string npy(const std::string& description, const std::string& shape, const std::string& bytes,
                bool fortran = false) {
  std::string header =
      str("{'descr': '", description, "', 'fortran_order': ", fortran ? "True" : "False",
          ", 'shape': ", shape, ", }\n");
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header +
         bytes;
}

TEST(Weights, BigEndianArrays) {
  EXPECT_EQ(read_npy(data("big_endian.npy")).to_doubles(), (std::vector<double>{0, 1, 2}));
  const TemporaryFolder folder;
  const std::string columns("\0\1\0\3\0\2\1\0", 8);  // [[1, 2], [3, 256]], first axis fastest
  write_text(folder / "a.npy", npy(">i2", "(2, 2)", columns, true));
  EXPECT_EQ(read_npy(folder / "a.npy").to_doubles(), (std::vector<double>{1, 2, 3, 256}));
}

TEST(Weights, TwoBytesWithoutATypeAreTakenForBfloat16) {
  const TemporaryFolder folder;
  const std::string bytes("\xc0\x3f\x00\xc0", 4);  // 1.5, -2
  for (const char* description : {"|V2", "<V2"}) {
    write_text(folder / "a.npz",
               ZipWriter().add({"w.npy", npy(description, "(2,)", bytes)}).bytes());
    const WeightFile file = read_weights(folder / "a.npz");
    EXPECT_EQ(file.tensors.at("w").dtype(), DType::bf16);
    EXPECT_EQ(file.tensors.at("w").to_doubles(), (std::vector<double>{1.5, -2}));
    ASSERT_EQ(file.notes.size(), 1u);
    EXPECT_TRUE(contains(file.notes[0], "taken for bfloat16")) << file.notes[0];
  }
}

TEST(Weights, SafetensorsOtherTypes) {
  const WeightFile file = read_weights(data("wide.safetensors"));
  EXPECT_EQ(file.tensors.at("bf16").to_doubles(), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(file.tensors.at("u16").data<int32_t>()[0], 65535);
  EXPECT_EQ(file.tensors.at("u32").data<int64_t>()[0], 4294967295);
  EXPECT_EQ(file.tensors.at("i16").data<int32_t>()[0], -3);
  EXPECT_TRUE(contains(message_of(data("float8.safetensors")), "F8_E4M3"));
}

TEST(Weights, FilesOfOtherKindsAreNamed) {
  const TemporaryFolder folder;
  const auto write = [&](std::string content) {
    write_file_atomically(folder / "x.bin", content);
    return message_of(folder / "x.bin");
  };
  EXPECT_TRUE(contains(write(""), "is empty"));
  EXPECT_TRUE(contains(write("hello, world"), "not a weight file"));
  EXPECT_TRUE(contains(write("version https://git-lfs.github.com/spec/v1\n"), "Git LFS"));
  EXPECT_TRUE(contains(write("<!DOCTYPE html>"), "web page"));
  EXPECT_TRUE(contains(write("\x89HDF\r\n\x1a\n........"), "HDF5"));
  EXPECT_TRUE(contains(write("\x1f\x8b......"), "gzip"));
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_TRUE(contains(write(tar), "tar archive"));
  EXPECT_TRUE(contains(message_of(data("object.npy")), "single NumPy array"));
  EXPECT_TRUE(contains(message_of(folder / "absent"), "absent"));
  EXPECT_TRUE(contains(message_of(folder.path()), "folder"));
}

TEST(Weights, TheRealNpzReads) {
  const std::string path =
      GRAFT_SOURCE_DIR "/../shared/data/models/resnet18_torchvision_L3_backbone.npz";
  if (!file_system().exists(path)) GTEST_SKIP();
  const WeightFile file = read_weights(path);
  EXPECT_EQ(file.format, "npz");
  EXPECT_GT(file.tensors.size(), 20u);
  int64_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors) bytes += tensor.bytes();
  EXPECT_GT(bytes, 11'000'000);
}

}  // namespace
}  // namespace graft::io
