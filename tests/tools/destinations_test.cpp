// What is no file is refused at once where one is read; where one will be written, that is tried
// before the work.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class Destinations : public testing::Test {
 protected:
  void SetUp() override {
    write_photos(folder / "photos", {"bees", "ants"}, 4, 32);
    std::filesystem::create_directories(folder / "d");
    ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  }
  void expect_refused(const CommandResult& result, const std::string& words) {
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << "'" << words << "' in " << result.err;
  }
  TemporaryFolder folder;
};

TEST_F(Destinations, PipesDevicesAndFoldersAreNotRead) {
  const std::string photos = folder / "photos", weights = carried_weights(), pipe = folder / "pipe";
  for (const std::string& name : {pipe, std::string("/dev/zero"), folder / "d"}) {
    const std::string words = name + ": is a ";
    expect_refused(run_graft({"inspect", name}), words);
    expect_refused(run_graft({"convert", name, folder / "o.npz"}), words);
    expect_refused(run_graft({"predict", name, photos}), words);
    expect_refused(run_graft({"verify", weights, name}), words);
    expect_refused(run_graft({"run", name, "--input", "x=" + name, "--output", folder / "out"}),
                   words);
  }
  expect_refused(run_graft({"predict", weights, pipe}), pipe + ": is a named pipe");
  for (const char* extension : {".csv", ".npz"}) {
    const std::string data = pipe + extension, words = data + ": is a named pipe";
    ASSERT_EQ(::mkfifo(data.c_str(), 0600), 0);
    expect_refused(run_graft({"evaluate", weights, "--data", data}), words);
    expect_refused(
        run_graft({"finetune", "--weights", weights, "--data", data, "--out", folder / "run"}),
        words);
  }
}

// The data loader opens its files late, one by one.
TEST_F(Destinations, APipeAmongPhotosIsNotWaitedFor) {
  write_photos(folder / "many", {"bees", "ants"}, 20, 32);
  ASSERT_EQ(::mkfifo((folder / "many/ants/z.ppm").c_str(), 0600), 0);
  const CommandResult left_out = run_graft(
      {"features", carried_weights(), "--data", folder / "many", "--out", folder / "f.npz"});
  EXPECT_EQ(left_out.code, 0) << left_out.err;
  std::string csv;
  for (const char* name : {"bees", "ants"})
    for (int i = 0; i < 20; ++i)
      csv += "many/" + std::string(name) + "/" + std::to_string(i) + ".ppm," + name + "\n";
  write_text(folder / "all.csv", csv + "many/ants/z.ppm,ants\n");
  const CommandResult listed = run_graft(
      {"features", carried_weights(), "--data", folder / "all.csv", "--out", folder / "f.npz"});
  EXPECT_TRUE(listed.code == 0 || listed.code == 3) << listed.err;  // left out, or refused
  EXPECT_NE(listed.err.find("z.ppm: is a named pipe"), std::string::npos) << listed.err;
}

// With data that are not there: what is said first is about the destination.
TEST_F(Destinations, AreTriedBeforeTheWork) {
  const std::string weights = carried_weights(), none = folder / "nowhere";
  const auto tried = [&](const std::string& out, const std::string& words) {
    expect_refused(run_graft({"convert", none, out + ".npz"}), out + ".npz" + words);
    expect_refused(run_graft({"features", none, "--data", none, "--out", out + ".npz"}),
                   out + ".npz" + words);
    expect_refused(run_graft({"evaluate", none, "--data", none, "--report", out + ".html"}),
                   out + ".html" + words);
    expect_refused(run_graft({"evaluate", none, "--data", none, "--precision", "int8",
                              "--calibrate", none, "--save", out + ".safetensors"}),
                   out + ".safetensors" + words);
  };
  tried(folder / "none/out", ": there is no folder");
  tried(folder / std::string(300, 'n'), ": cannot look at it: File name too long");
  for (const char* extension : {".npz", ".html", ".safetensors"})
    std::filesystem::create_directories((folder / "taken") + extension);
  tried(folder / "taken", ": is a folder");
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

TEST_F(Destinations, EveryFileOfARunIsTried) {
  for (const char* name :
       {"model.safetensors", "last.ckpt.safetensors", "metrics.jsonl", "report.html"}) {
    std::filesystem::remove_all(folder / "run");
    std::filesystem::create_directories(folder / ("run/" + std::string(name)));
    expect_refused(run_graft({"pretrain", "--arch", "cifar_resnet20", "--data", folder / "photos",
                              "--out", folder / "run", "--epochs", "1", "--resume"}),
                   std::string(name) + ": is a folder, a file was expected");
  }
  write_text(folder / "file", "x");
  expect_refused(run_graft({"pretrain", "--arch", "cifar_resnet20", "--data", folder / "photos",
                            "--out", folder / "file"}),
                 "a folder for the run was expected");
}

// A report or a model that is a link stays one.
TEST_F(Destinations, ALinkInRunIsKept) {
  std::filesystem::create_directories(folder / "run");
  std::filesystem::create_symlink(folder / "elsewhere.safetensors",
                                  folder / "run/model.safetensors");
  std::filesystem::create_symlink(folder / "elsewhere.jsonl", folder / "run/metrics.jsonl");
  const CommandResult result =
      run_graft({"pretrain", "--arch", "cifar_resnet20", "--data", folder / "photos", "--out",
                 folder / "run", "--epochs", "1", "--resume"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "run/model.safetensors"));
  EXPECT_TRUE(std::filesystem::is_regular_file(folder / "elsewhere.safetensors"));
  EXPECT_EQ(read_text(folder / "elsewhere.jsonl").front(), '{');
}

// Planted where a frozen prefix keeps its features: not followed, and done without.
TEST_F(Destinations, ALinkInPlaceOfTheFeaturesIsNotFollowed) {
  std::filesystem::create_directories(folder / "run");
  write_text(folder / "precious", "precious");
  std::filesystem::create_symlink(folder / "precious", folder / "run/features.cache");
  const CommandResult result =
      run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "photos", "--out",
                 folder / "run", "--epochs", "1", "--resume"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("features are not kept on disk"), std::string::npos) << result.err;
  EXPECT_EQ(read_text(folder / "precious"), "precious");
}

}  // namespace
}  // namespace graft
