// PyTorch's zip and legacy files (tests/data/io/make_torch.py), and what the unpickler refuses.
#include <gtest/gtest.h>

#include <cstring>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/formats.h"

namespace graft::io {
namespace {

std::string data(const std::string& name) { return std::string(GRAFT_TEST_DATA "/io/") + name; }
using Values = std::vector<double>;

std::string refusal(const std::string& name) {
  try {
    read_weights(data(name));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "no error";
}
#define EXPECT_REFUSED(name, part) \
  EXPECT_NE(refusal(name).find(part), std::string::npos) << refusal(name)

TEST(PyTorch, ViewsAreGathered) {
  for (const char* name : {"views.pth", "views_legacy.pth", "protocol4.pth"}) {
    const WeightFile file = read_weights(data(name));
    EXPECT_EQ(file.format,
              std::string(name) == "views_legacy.pth" ? "pytorch-legacy" : "pytorch-zip");
    const StateDict& t = file.tensors;
    EXPECT_EQ(t.size(), 15u);
    EXPECT_EQ(t.at("transposed").shape(), Shape({4, 3, 2}));
    Values expected;
    for (int k = 0; k < 4; ++k)
      for (int j = 0; j < 3; ++j)
        for (int i = 0; i < 2; ++i) expected.push_back(12 * i + 4 * j + k);
    EXPECT_EQ(t.at("transposed").to_doubles(), expected);
    EXPECT_EQ(t.at("slice").to_doubles(), (Values{4, 6, 16, 18}));
    EXPECT_EQ(t.at("tail").to_doubles(), (Values{4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(t.at("head").to_doubles(), (Values{0, 1, 2}));
    EXPECT_EQ(t.at("expanded").to_doubles(), (Values{5, 5, 5, 6, 6, 6}));
    EXPECT_EQ(t.at("scalar").item(), 2.5);
    EXPECT_EQ(t.at("scalar").dtype(), DType::f64);
    EXPECT_EQ(t.at("empty").shape(), Shape({0, 4}));
    EXPECT_EQ(t.at("bf16").dtype(), DType::bf16);
    EXPECT_EQ(t.at("half").to_doubles(), Values{0.5});
    EXPECT_EQ(t.at("bool").dtype(), DType::boolean);
    EXPECT_EQ(t.at("int16").to_doubles(), Values{-7});
    EXPECT_EQ(t.at("channels_last").to_doubles()[23], 23);
    EXPECT_EQ(t.at("channels_last").to_doubles()[1], 1);
    EXPECT_TRUE(t.at("tied.a").is_same(t.at("tied.b")));
    EXPECT_EQ(t.at("tied.b").to_doubles(), (Values{3, 3, 3, 3}));
    EXPECT_EQ(file.roots, std::vector<std::string>{""});
  }
}

TEST(PyTorch, CheckpointsNameTheirStateDicts) {
  for (const char* name : {"checkpoint.pth", "checkpoint_legacy.pth"}) {
    const WeightFile file = read_weights(data(name));
    EXPECT_EQ(file.roots, (std::vector<std::string>{"state_dict.", "model_ema."}));
    EXPECT_TRUE(file.tensors.contains("state_dict.module.0.weight"));
    EXPECT_TRUE(file.tensors.contains("model_ema.module.1.running_mean"));
    EXPECT_TRUE(file.tensors.contains("optimizer.state.0.exp_avg"));
    EXPECT_EQ(file.tensors.with_prefix_removed("state_dict.").size(), 7u);
    std::string notes;
    for (const std::string& note : file.notes) notes += note + "; ";
    EXPECT_NE(notes.find("'module.'"), std::string::npos) << notes;
    EXPECT_NE(notes.find("skipped"), std::string::npos) << notes;
  }
}

TEST(PyTorch, OtherRootsAndTypes) {
  EXPECT_EQ(read_weights(data("bare.pth")).tensors.at("tensor").to_doubles(), (Values{0, 1, 2}));
  EXPECT_EQ(read_weights(data("list.pth")).tensors.at("1.x").to_doubles(), (Values{1, 1}));
  EXPECT_EQ(read_weights(data("uint16.pth")).tensors.at("u16").to_doubles(), Values{65535});
}

std::string notes_of(const WeightFile& file) {
  std::string notes;
  for (const std::string& note : file.notes) notes += note + "; ";
  return notes;
}

TEST(PyTorch, CodeIsNamedAndNeverRun) {
  for (const char* name : {"evil.pth", "evil_legacy.pth"}) {
    const std::string notes = notes_of(read_weights(data(name)));  // tensors stand beside the code
    EXPECT_NE(notes.find("does not run: posix.system"), std::string::npos) << notes;
  }
  EXPECT_REFUSED("evil.pkl", "contains code: posix.system");
}

TEST(PyTorch, TensorsOfObjectsHaveTheNamesOfTheirStateDict) {
  const WeightFile whole = read_weights(data("whole_model.pth"));
  EXPECT_EQ(whole.tensors.at("0.weight").rank(), 2);
  EXPECT_TRUE(whole.tensors.contains("0.bias"));
  EXPECT_NE(notes_of(whole).find("code, which graft does not run: torch.nn.modules.container"),
            std::string::npos)
      << notes_of(whole);
  const WeightFile script = read_weights(data("script.pt"));
  EXPECT_FALSE(script.tensors.empty());
  EXPECT_NE(notes_of(script).find("a TorchScript program"), std::string::npos) << notes_of(script);
}

TEST(PyTorch, WhatIsNotSupportedIsNamed) {
  EXPECT_REFUSED("complex.pth", "ComplexFloatStorage");
  EXPECT_REFUSED("float8.pth", "torch.float8_e4m3fn");
  EXPECT_REFUSED("sparse.pth", "only dense tensors");
  EXPECT_REFUSED("no_tensors.pth", "holds no tensors");
  EXPECT_REFUSED("plain.pkl", "not one that torch.save wrote");
  EXPECT_REFUSED("deflated.pth", "is compressed");
}

// A legacy file around a pickle of the test's own making.
std::string legacy_file(const std::string& object, const std::string& rest = "") {
  const std::string magic("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  return magic + std::string("\x80\x02M\xe9\x03.", 6) + std::string("\x80\x02}.", 4) + object +
         rest;
}
std::string refusal_of_pickle(const std::string& object, const std::string& rest = "") {
  const std::string content = legacy_file(std::string("\x80\x02").append(object), rest);
  MemoryFile file("pickle", std::as_bytes(std::span(content)));
  try {
    read_weights(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}
#define EXPECT_PICKLE_REFUSED(object, part) \
  EXPECT_NE(refusal_of_pickle(object).find(part), std::string::npos) << refusal_of_pickle(object)

TEST(PyTorch, HostilePicklesAreRefused) {
  const std::string keys("\x80\x02].", 4);
  EXPECT_NE(refusal_of_pickle("}.", keys).find("holds no tensors"), std::string::npos)
      << refusal_of_pickle("}.", keys);
  for (const auto& [pickle, name] : std::vector<std::pair<std::string, std::string>>{
           {"cos\nsystem\nU\x02id\x85R.", "os.system"},
           {"cbuiltins\neval\n.", "builtins.eval"},
           {"c__builtin__\ngetattr\n.", "__builtin__.getattr"},
           {"ctorch.hub\nload\n.", "torch.hub.load"},
           {"cos\x1b[31m\nsystem\n.", "os?[31m.system"},
           {"c__builtin__\ngetattr\ncos\npath\nU\x04join\x86RU\x01x\x85R.", "os.path"}})
    EXPECT_NE(refusal_of_pickle(pickle, keys).find(name), std::string::npos)
        << refusal_of_pickle(pickle, keys);
  EXPECT_PICKLE_REFUSED("(i__main__\nx\n.", "opcode 105");  // INST
  EXPECT_PICKLE_REFUSED("(o.", "opcode 111");               // OBJ
  EXPECT_PICKLE_REFUSED("\x82\x01.", "opcode 130");         // EXT1
  EXPECT_PICKLE_REFUSED("]K\x01K\x02s.", "another kind");   // SETITEM on a list (CVE-2026-24747)
  EXPECT_PICKLE_REFUSED("K\x01(K\x01K\x02u.", "another kind");  // SETITEMS on a number
  EXPECT_PICKLE_REFUSED("}(K\x01u.", "another kind");           // an odd number of items
  EXPECT_PICKLE_REFUSED("s.", "stack is empty");
  EXPECT_PICKLE_REFUSED("e.", "mark is missing");
  EXPECT_PICKLE_REFUSED("(K\x01\x85.", "left over");
  EXPECT_PICKLE_REFUSED("h\x05.", "never stored");
  EXPECT_PICKLE_REFUSED(std::string("Nr\xff\xff\xff\xff.", 7), "more than the limit");
  EXPECT_PICKLE_REFUSED(std::string("X\xff\xff\xff\xff.", 6), "text of 4294967295 bytes");
  EXPECT_PICKLE_REFUSED("K\x01\x85Q.", "other than a tensor's storage");
  EXPECT_PICKLE_REFUSED("ctorch\nFloatStorage\n)R.", "calls torch.FloatStorage");
  EXPECT_PICKLE_REFUSED("K\x01)R.", "no global name");
  EXPECT_PICKLE_REFUSED("K\x01}b.", "plain value");
  EXPECT_PICKLE_REFUSED("}", "truncated inside a pickle");
  EXPECT_PICKLE_REFUSED(std::string(2'000'000, '('), "beyond the limit");
  EXPECT_PICKLE_REFUSED(std::string("N") + std::string(2'000'000, '2'), "beyond the limit");
}

TEST(PyTorch, StructuresThatFoldUpAreNotUnfolded) {
  // each list holds the one before twice: 2^60 values when walked
  std::string bomb = "]q";
  bomb += '\0';
  for (char i = 0; i < 60; ++i)
    bomb += std::string("](h") + i + "h" + i + "eq" + static_cast<char>(i + 1);
  for (int i = 0; i < 60; ++i) bomb += "\x86";
  std::string stack_cleanup = bomb + ".";
  EXPECT_NE(refusal_of_pickle(stack_cleanup, std::string("\x80\x02].", 4)), "no error");
  // a list inside itself
  EXPECT_NE(refusal_of_pickle(std::string("]q\0h\0a.", 7), std::string("\x80\x02].", 4))
                .find("nested deeper"),
            std::string::npos);
  // 100,000 levels
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += ']';
  for (int i = 0; i < 99'999; ++i) deep += 'a';
  EXPECT_NE(refusal_of_pickle(deep + ".", std::string("\x80\x02].", 4)).find("nested deeper"),
            std::string::npos);
}

std::string number(int n) { return std::string("J").append(reinterpret_cast<const char*>(&n), 4); }

// _rebuild_tensor_v2(storage "0" of `numel` floats, offset, size, stride, ...)
std::string tensor_pickle(int numel, int offset, const std::string& size,
                          const std::string& stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01"
         "0U\x03"
         "cpu" +
         number(numel) + "NtQ" + number(offset) + size + stride + "\x89}tR";
}

// The list of storages and the one storage, of `stored` floats where `numel` are announced.
std::string storage_of(int64_t numel, int stored) {
  return std::string(
             "\x80\x02]U\x01"
             "0a.",
             8) +
         std::string(reinterpret_cast<const char*>(&numel), 8) +
         std::string(static_cast<size_t>(stored) * 4, 'x');
}

std::string refusal_of_tensor(int numel, int offset, const std::string& size,
                              const std::string& stride, int stored) {
  return refusal_of_pickle("}U\x01w" + tensor_pickle(numel, offset, size, stride) + "s.",
                           storage_of(numel, stored));
}

TEST(PyTorch, TensorsStayInsideTheirStorage) {
  const std::string huge = std::string("\x8a\x08\0\0\0\0\0\0\0\x20", 10);  // 2^61
  EXPECT_EQ(refusal_of_tensor(4, 0, "K\x04\x85", "K\x01\x85", 4), "no error");
  EXPECT_NE(refusal_of_tensor(4, 1, "K\x04\x85", "K\x01\x85", 4).find("outside of its 4"),
            std::string::npos);
  EXPECT_NE(refusal_of_tensor(4, 0, "K\x03\x85", "K\x02\x85", 4).find("outside of its 4"),
            std::string::npos);
  EXPECT_NE(refusal_of_tensor(4, 0, "K\x04\x85", "K\x01\x85", 3).find("truncated inside storage"),
            std::string::npos);
  EXPECT_NE(refusal_of_tensor(4, 0, "K\x04\x85", "K\x01\x85", 5).find("4 bytes after"),
            std::string::npos);
  EXPECT_NE(refusal_of_tensor(4, -1, "K\x04\x85", "K\x01\x85", 4).find("damaged size or offset"),
            std::string::npos);
  EXPECT_NE(refusal_of_tensor(4, 0, "K\x04\x85", ")", 4).find("1 sizes and 0 strides"),
            std::string::npos);
  EXPECT_NE(
      refusal_of_tensor(4, 0, huge + huge + "\x86", "K\x01K\x01\x86", 4).find("size overflow"),
      std::string::npos);
  EXPECT_NE(refusal_of_tensor(4, 0, huge + "\x85", huge + "\x85", 4).find("limit"),
            std::string::npos);
  EXPECT_NE(refusal_of_tensor(4, 0, "J\xff\xff\xff\x7f\x85", std::string("K\0\x85", 3), 4)
                .find("more than its own size"),
            std::string::npos);  // 8 GiB expanded from one element
  std::string nine_axes = "(";
  for (int i = 0; i < 9; ++i) nine_axes += "K\x01";
  nine_axes += "t";
  EXPECT_NE(refusal_of_tensor(4, 0, nine_axes, nine_axes, 4).find("at most 8 axes"),
            std::string::npos);
  EXPECT_NE(refusal_of_tensor(2'000'000'000, 0, "K\x04\x85", "K\x01\x85", 4).find("truncated"),
            std::string::npos);
}

// {"state_dict": {"w": tensor}, "callbacks": {a class: 1}, "hyper": AttributeDict(lr=1, t=tensor),
// "path": PosixPath("/", "data")}: what Lightning keeps beside a network.
TEST(PyTorch, UnknownObjectsAreValuesAndTheirCodeIsNamed) {
  const std::string tensor = tensor_pickle(4, 0, "K\x04\x85", "K\x01\x85");
  const std::string object =
      std::string("\x80\x02}(U\x0astate_dict}U\x01w") + tensor +
      "q\x01sU\x09"
      "callbacks}clightning.callbacks\nCheckpoint\nK\x01sU\x05hyperclightning\nAttributeDict\n)\x81"
      "(U\x02lrK\x01U\x01th\x01u}U\x05otherK\x02sbU\x04pathcpathlib\nPosixPath\nU\x01/U\x04"
      "data\x86Ru.";
  const std::string content = legacy_file(object, storage_of(4, 4));
  MemoryFile file("pickle", std::as_bytes(std::span(content)));
  const WeightFile read = read_weights(file);
  EXPECT_EQ(read.tensors.size(), 2u);
  EXPECT_TRUE(read.tensors.contains("state_dict.w"));
  EXPECT_TRUE(read.tensors.contains("hyper.t"));
  EXPECT_EQ(read.roots, std::vector<std::string>{"state_dict."});
  for (const char* name :
       {"lightning.callbacks.Checkpoint", "lightning.AttributeDict", "pathlib.PosixPath"})
    EXPECT_NE(notes_of(read).find(name), std::string::npos) << notes_of(read);
}

TEST(PyTorch, PickledArraysAreTensors) {
  for (const char* name : {"arrays2.pkl", "arrays4.pkl"}) {
    const WeightFile file = read_weights(data(name));
    EXPECT_EQ(file.format, "pickle");
    EXPECT_EQ(file.roots, std::vector<std::string>{"model."});
    EXPECT_EQ(file.tensors.size(), 4u);  // not the array of objects
    const auto values = [&](const char* array) {
      return file.tensors.at(std::string("model.") + array).to_doubles();
    };
    EXPECT_EQ(file.tensors.at("model.plain").shape(), Shape({2, 3}));
    EXPECT_EQ(values("plain"), (Values{-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}));
    EXPECT_EQ(values("big_endian"), (Values{1.5, -2}));
    EXPECT_EQ(values("fortran"), (Values{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(values("half"), (Values{0.5, 300}));
  }
}

// Each place is compared with every name, so that a file of many small state dicts would take
// forever.
TEST(PyTorch, OnlySoManyStateDictsAreOffered) {
  std::string object = "\x80\x02}(";
  for (int i = 0; i < 200; ++i)
    object += number(i) + "}U\x01w" +
              (i == 0 ? tensor_pickle(4, 0, "K\x04\x85", "K\x01\x85") + "q\x01" : "h\x01") + "s";
  const std::string content = legacy_file(object + "u.", storage_of(4, 4));
  MemoryFile file("pickle", std::as_bytes(std::span(content)));
  const WeightFile read = read_weights(file);
  EXPECT_EQ(read.tensors.size(), 200u);
  EXPECT_EQ(read.roots.size(), 64u);
}

TEST(PyTorch, TheRealLegacyFilesRead) {
  for (const char* name : {"resnet20-12fca82f.th", "resnet56-4bfd9763.th"}) {
    const std::string path =
        str(GRAFT_SOURCE_DIR "/../shared/data/models/cifar10_resnet_akamaster/", name);
    if (!file_system().exists(path)) GTEST_SKIP();
    const WeightFile file = read_weights(path);
    EXPECT_EQ(file.format, "pytorch-legacy");
    ASSERT_EQ(file.roots.size(), 1u);
    const StateDict weights = file.tensors.with_prefix_removed(file.roots[0]);
    EXPECT_TRUE(weights.contains("module.linear.weight"));
    EXPECT_EQ(weights.at("module.linear.weight").shape(), Shape({10, 64}));
  }
}

}  // namespace
}  // namespace graft::io
