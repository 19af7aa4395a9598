// One RUN, one owner: a second command on the same folder is refused while the first lives.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class RunLock : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"red", "green"}, 8, 32); }

  std::vector<std::string> training(std::vector<std::string> more = {}, int epochs = 400) const {
    std::vector<std::string> arguments = {"pretrain",
                                          "--arch",
                                          "cifar_resnet20",
                                          "--data",
                                          folder / "photos",
                                          "--out",
                                          folder / "run",
                                          "--epochs",
                                          std::to_string(epochs),
                                          "--checkpoint-seconds",
                                          "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::string inside(const std::string& name) const { return (folder / "run/") + name; }
  bool is_training() const {
    return std::filesystem::exists(inside("last.ckpt.safetensors")) &&
           std::filesystem::file_size(inside("metrics.jsonl")) > 0;
  }
  // Names, sizes and times of everything in RUN.
  std::string state() const {
    std::string text;
    for (const DirectoryEntry& entry : file_system().list(folder / "run")) {
      const std::string path = inside(entry.name);
      text += entry.name + " " + sha256_of_file(path) + " " +
              std::to_string(std::filesystem::last_write_time(path).time_since_epoch().count()) +
              "\n";
    }
    return text;
  }
  void expect_refused(const CommandResult& result) const {
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(folder / "run: is in use by another run (process "),
              std::string::npos)
        << result.err;
  }

  TemporaryFolder folder;
};

TEST_F(RunLock, ASecondRunIsRefusedBeforeAnythingIsTouched) {
  RunningGraft first(training());
  ASSERT_TRUE(first.reaches([&] { return is_training(); })) << first.err();
  first.send(SIGSTOP);  // so that only the others could change anything
  const std::string before = state();
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--resume"}, {"--overwrite"}})
    expect_refused(run_graft(training(more)));
  expect_refused(run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "photos",
                            "--out", folder / "run", "--resume"}));
  EXPECT_EQ(state(), before);
  first.send(SIGCONT);
  first.send(SIGTERM);
  EXPECT_EQ(first.wait().code, 130);
  EXPECT_FALSE(std::filesystem::exists(inside(".graft-lock")));
}

// Two at once into a folder that is not there yet: one runs, the other is refused, and the model is
// that of a run alone.
TEST_F(RunLock, OfTwoAtOnceOneRuns) {
  const std::vector<std::string> arguments = training({"--threads", "1"}, 2);
  ASSERT_EQ(run_graft(arguments).code, 0);
  const std::string alone = sha256_of_file(inside("model.safetensors"));
  for (int round = 0; round < 3; ++round) {
    std::filesystem::remove_all(folder / "run");
    RunningGraft one(arguments), other(arguments);
    int codes[] = {one.wait().code, other.wait().code};
    std::sort(std::begin(codes), std::end(codes));
    EXPECT_EQ(codes[0], 0);
    EXPECT_EQ(codes[1], 2) << "in use, or not empty when the first was quick";
    EXPECT_EQ(sha256_of_file(inside("model.safetensors")), alone);
  }
}

TEST_F(RunLock, DiesWithTheRunThatHadIt) {
  {
    RunningGraft first(training());
    ASSERT_TRUE(first.reaches([&] { return is_training(); })) << first.err();
    first.send(SIGKILL);
    EXPECT_EQ(first.wait().code, -SIGKILL);
  }
  EXPECT_TRUE(std::filesystem::exists(inside(".graft-lock"))) << "nobody was left to remove it";
  RunningGraft second(training({"--resume"}));
  EXPECT_TRUE(second.reaches([&] {
    return second.err().find("resumed after") != std::string::npos;
  })) << second.err();
}

// The lock file of a run that was killed before it wrote anything does not make RUN "not empty",
// and a folder that is no run's gets none.
TEST_F(RunLock, TheLockFileIsNobodysContent) {
  std::filesystem::create_directories(folder / "run");
  write_text(inside(".graft-lock"), "process 1 on nowhere\n");
  EXPECT_EQ(run_graft(training({}, 1)).code, 0);
  std::filesystem::create_directories(folder / "thesis");
  write_text(folder / "thesis/thesis.txt", "precious");
  EXPECT_EQ(run_graft({"pretrain", "--arch", "cifar_resnet20", "--data", folder / "photos", "--out",
                       folder / "thesis"})
                .code,
            2);
  EXPECT_EQ(file_system().list(folder / "thesis").size(), 1u);
}

}  // namespace
}  // namespace graft
