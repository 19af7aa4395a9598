// Keras' HDF5 files through the command and its reader's process: what Keras wrote is what inspect
// and convert see; hostile, damaged and over-large files end in one sentence
// (tests/data/keras/make_files.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/core/runtime/random.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

std::string keras_data(const std::string& name) { return GRAFT_TEST_DATA "/keras/" + name; }

class Hdf5 : public testing::Test {
 protected:
  void SetUp() override {
    if (run_graft({"doctor"}).out.find("in a process of its own") != std::string::npos) return;
    ASSERT_EQ(std::getenv("GRAFT_REQUIRE_HDF5"), nullptr) << "built without libhdf5";
    GTEST_SKIP() << "built without libhdf5";
  }
  nlohmann::json inspected(const std::string& path) {
    const CommandResult result = run_graft({"inspect", path, "--json"});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }
  // The sentence, which names the file and comes with exit code 3.
  std::string refusal(const std::string& path) {
    const CommandResult result = run_graft({"inspect", path});
    EXPECT_EQ(result.code, 3) << path << ": " << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.err.find("graft: " + path + ": "), 0u) << result.err;
    return result.err;
  }
  TemporaryFolder folder;
};

TEST_F(Hdf5, KerasLayouts) {
  for (const char* name : {"tiny.h5", "tiny.weights.h5", "tiny.keras"}) {
    const auto found = inspected(keras_data(name));
    EXPECT_EQ(found["format"], std::string(name).ends_with(".keras") ? "keras" : "hdf5");
    EXPECT_EQ(found["tensors"].size(), 9u) << name;
    int64_t numbers = 0;
    for (const auto& tensor : found["tensors"]) {
      int64_t count = 1;
      for (const auto& extent : tensor["shape"]) count *= extent.get<int64_t>();
      numbers += count;
    }
    EXPECT_EQ(numbers, 3 * 3 * 3 * 4 + 4 + 4 * 4 + 3 * 3 * 4 + 4 * 5 + 5) << name;
    const bool has_config = std::string(name) != "tiny.weights.h5";
    EXPECT_EQ(found["metadata"].contains("keras.config"), has_config) << name;
    if (std::string(name) != "tiny.h5") {
      EXPECT_EQ(found["metadata"]["keras.name:layers/conv2d/vars"], "conv") << name;
    }
    if (has_config) {  // which describes the graph that the file is run as
      EXPECT_TRUE(found["import_refused"].is_null()) << name;
      ASSERT_FALSE(found["import"].is_null()) << name;
      EXPECT_EQ(found["import"]["matched"], 9) << name;
      EXPECT_NE(found["import"]["naming"].get<std::string>().find("a Functional model of 6 layers"),
                std::string::npos)
          << found["import"]["naming"];
    } else {
      EXPECT_TRUE(found["import"].is_null()) << name;
      EXPECT_NE(found["import_refused"].get<std::string>().find(name), std::string::npos);
    }
  }
}

TEST_F(Hdf5, ElementTypes) {
  const auto found = inspected(keras_data("types.h5"));
  std::map<std::string, std::string> types;
  for (const auto& tensor : found["tensors"]) types[tensor["name"]] = tensor["dtype"];
  const std::map<std::string, std::string> expected = {
      {"deflated", "float32"},  {"scalar", "float32"},    {"t/big_f4", "float32"},
      {"t/big_i2", "int32"},    {"t/float16", "float16"}, {"t/float32", "float32"},
      {"t/float64", "float64"}, {"t/int8", "int8"},       {"t/uint8", "uint8"},
      {"t/int16", "int32"},     {"t/int32", "int32"},     {"t/int64", "int64"},
      {"t/uint16", "int32"}};
  EXPECT_EQ(types, expected);
  EXPECT_EQ(found["notes"].size(), 2u);
}

TEST_F(Hdf5, HostileFilesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"bad_external_link.h5", "'passwords' is a link"},
      {"bad_soft_link.h5", "is a link"},
      {"bad_external_data.h5", "stands in other files"},
      {"bad_virtual.h5", "stands in other files"},
      {"bad_fill_value.h5", "the file holds 0"},
      {"bad_cycle.h5", "part of itself"},
      {"bad_depth.h5", "nest deeper"}};
  for (const auto& [name, words] : cases)
    EXPECT_NE(refusal(keras_data(name)).find(words), std::string::npos) << name;
}

TEST_F(Hdf5, HalfAFile) {
  for (const char* name : {"tiny.h5", "tiny.keras"}) {
    const std::string whole = read_text(keras_data(name)), path = folder / name;
    write_text(path, whole.substr(0, whole.size() / 2));
    refusal(path);
  }
}

// Whatever libhdf5 does with these, crash or refuse or read, the command ends with 0 or 3 and at
// most one sentence.
TEST_F(Hdf5, DamagedBytesNeverEndTheCommand) {
  const std::string whole = read_text(keras_data("tiny.weights.h5")), path = folder / "x.h5";
  CountedRandom random(11, RandomPurpose::synthetic);
  for (int i = 0; i < 24; ++i) {
    std::string changed = whole;
    for (int k = 0; k < 1 + i % 6; ++k)
      changed[8 + random.below(changed.size() - 8)] = static_cast<char>(random.below(256));
    write_text(path, changed);
    const CommandResult result = run_graft({"inspect", path});
    EXPECT_TRUE(result.code == 0 || result.code == 3) << result.code << ": " << result.err;
    if (result.code == 3) {
      EXPECT_EQ(result.err.find("graft: " + path), 0u) << result.err;
    }
  }
}

TEST_F(Hdf5, TheReaderAloneTakesNothingButAFile) {
  const std::string reader =
      std::filesystem::path(GRAFT_COMMAND).parent_path().string() + "/graft_read_hdf5";
  EXPECT_EQ(WEXITSTATUS(std::system((reader + " < /dev/null > /dev/null 2>&1").c_str())), 3);
  EXPECT_EQ(
      WEXITSTATUS(std::system((reader + " < " + keras_data("tiny.h5") + " > /dev/null").c_str())),
      0);
}

// The stream itself: its length, then safetensors with the very bits that Keras wrote.
TEST_F(Hdf5, TheReaderHandsOverTheBits) {
  const std::string reader = std::filesystem::path(GRAFT_COMMAND).parent_path().string() +
                             "/graft_read_hdf5",
                    out = folder / "out";
  ASSERT_EQ(std::system((reader + " < " + keras_data("tiny.h5") + " | cat > " + out).c_str()),
            0);  // it may write into no file itself
  const std::string stream = read_text(out).substr(8);
  io::MemoryFile file("stream", std::as_bytes(std::span(stream)));
  const StateDict found = io::read_safetensors(file).tensors;
  const StateDict expected = io::read_weights(keras_data("tiny.npz")).tensors;
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    const std::string layer = name.substr(0, name.find('.')),
                      part = name.substr(name.find('.') + 1);
    const Tensor other = found.at("model_weights/" + layer + "/" + layer + "/" + part);
    ASSERT_EQ(other.shape(), tensor.shape()) << name;
    EXPECT_EQ(other.to_doubles(), tensor.to_doubles()) << name;
  }
}

// A Keras ResNet-50 up to its first stage: imported, written in three formats, all one network, and
// fine-tuned.
TEST_F(Hdf5, AKerasNetworkThroughAllVerbs) {
  const std::string keras = keras_data("resnet50_conv2.keras"), model = folder / "m.safetensors",
                    onnx = folder / "m.onnx";
  const CommandResult converted = run_graft({"convert", keras, model, "--json"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const auto certificate = nlohmann::json::parse(converted.out);
  EXPECT_EQ(certificate["format"], "keras");
  EXPECT_EQ(certificate["naming"], "Keras ResNet names");
  EXPECT_EQ(certificate["architecture"], "resnet50, cut after layer1, 256 features, no head");
  EXPECT_EQ(certificate["matched"], 66);
  EXPECT_EQ(certificate["eps"]["value"], "1.001e-05");
  EXPECT_EQ(certificate["eps"]["known"], true);
  EXPECT_EQ(certificate["stem_pool"]["known"], true);
  EXPECT_EQ(certificate["stride"]["known"], false);
  EXPECT_NE(certificate["preprocess"]["value"].get<std::string>().find("BGR"), std::string::npos);
  EXPECT_EQ(inspected(keras)["import"]["matched"], 66);

  ASSERT_EQ(run_graft({"convert", keras, onnx}).code, 0);
  for (const std::string& other : {model, onnx}) {
    const CommandResult verified = run_graft({"verify", keras, other});
    EXPECT_EQ(verified.code, 0) << verified.out << verified.err;
  }
  write_photos(folder / "photos", {"bees", "ants"}, 6, 32);
  const CommandResult trained =
      run_graft({"finetune", "--weights", keras, "--data", folder / "photos", "--out",
                 folder / "run", "--epochs", "1", "--image-size", "32"});
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("Keras ResNet names"), std::string::npos) << trained.err;
}

// A Keras model that is no network of graft's own, as Keras wrote it in both of its formats: one
// graph, said in the first lines, exported and trained (tests/data/keras/make_graphs.py).
TEST_F(Hdf5, AKerasModelOfAnyShapeThroughTheVerbs) {
  const std::string keras = keras_data("graphs/nested.keras"), h5 = keras_data("graphs/nested.h5"),
                    onnx = folder / "m.onnx";
  for (const std::string& path : {keras, h5}) {
    const auto found = inspected(path)["import"];
    ASSERT_TRUE(found.is_object()) << path;
    const std::string naming = found["naming"];
    EXPECT_EQ(naming.find("Keras 3.15.1, a Functional model of"), 0u) << naming;
    EXPECT_EQ(found["preprocess"]["known"], false);
  }
  const CommandResult text = run_graft({"inspect", keras});
  EXPECT_NE(text.out.find("run as the graph that its configuration describes"), std::string::npos)
      << text.out;
  ASSERT_EQ(run_graft({"convert", keras, onnx}).code, 0);
  for (const std::string& other : {h5, onnx}) {
    const CommandResult verified = run_graft({"verify", keras, other});
    EXPECT_EQ(verified.code, 0) << verified.out << verified.err;
  }
  write_photos(folder / "photos", {"bees", "ants"}, 6, 16);
  const CommandResult trained =
      run_graft({"finetune", "--weights", keras, "--data", folder / "photos", "--out",
                 folder / "run", "--epochs", "1"});
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("Keras 3.15.1"), std::string::npos) << trained.err;
}

// Without the program beside it the command says so.
TEST_F(Hdf5, AMissingReaderIsNamed) {
  std::filesystem::copy_file(GRAFT_COMMAND, folder / "graft");
  const std::string err = folder / "err";
  const int status = std::system(
      ((folder / "graft") + " inspect " + keras_data("tiny.h5") + " > /dev/null 2> " + err)
          .c_str());
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_NE(read_text(err).find("graft_read_hdf5 is not installed beside graft"), std::string::npos)
      << read_text(err);
}

// The library alone reads no HDF5.
TEST(Hdf5Library, RefusesInOneSentence) {
  try {
    io::read_weights(keras_data("tiny.h5"));
    ADD_FAILURE() << "read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_NE(std::string(error.what()).find("is an HDF5 file (Keras)"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace graft
