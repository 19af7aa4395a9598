// How the command ends when it is told to stop, when nobody reads what it says, when a file may not
// grow, and when it is started with closed descriptors: a documented code, and nothing
// half-written.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class Stop : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"bees", "ants"}, 4, 32); }
  int64_t temporaries() const {
    int64_t count = 0;
    for (const DirectoryEntry& entry : file_system().list(folder.path()))
      count += entry.name.starts_with(".graft-tmp-");
    return count;
  }
  const std::vector<std::string> waiting = {"predict", carried_weights(), "-"};
  TemporaryFolder folder;
};

TEST_F(Stop, EndsWith130WhateverItIsDoing) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGXCPU}) {
    RunningGraft graft(waiting, {.endless_input = true});
    ASSERT_TRUE(graft.reaches([&] { return graft.handles(signal); })) << graft.err();
    graft.send(signal);
    const CommandResult result = graft.wait();
    EXPECT_EQ(result.code, 130) << signal << result.err;
    EXPECT_EQ(result.err, "graft: interrupted\n");
  }
}

TEST_F(Stop, IgnoresAHangUpUnderNohup) {
  struct sigaction before, ignore = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGHUP, &ignore, &before);
  RunningGraft graft(waiting, {.endless_input = true});
  ::sigaction(SIGHUP, &before, nullptr);
  ASSERT_TRUE(graft.reaches([&] { return graft.handles(SIGTERM); })) << graft.err();
  graft.send(SIGHUP);
  EXPECT_FALSE(graft.handles(SIGHUP));
  graft.send(SIGTERM);
  EXPECT_EQ(graft.wait().code, 130);
}

// Stopped in the midst of writing, which is caught by halting the process as soon as the temporary
// file is seen.
TEST_F(Stop, LeavesNoHalfWrittenFile) {
  const std::string out = folder / "m.safetensors";
  int met = 0;
  for (int attempt = 0; attempt < 40 && met < 2; ++attempt) {
    std::filesystem::remove(out);
    RunningGraft graft({"convert", carried_weights(), out});
    // The first temporary file only tries whether OUT can be written.
    const bool seen = graft.reaches([&] {
      for (const DirectoryEntry& entry : file_system().list(folder.path())) {
        std::error_code gone;
        const auto size = std::filesystem::file_size(folder / entry.name, gone);
        if (entry.name.starts_with(".graft-tmp-") && !gone && size > 0) return true;
      }
      return false;
    });
    if (seen) graft.send(SIGSTOP);
    if (seen) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const bool writing = seen && temporaries() == 1;
    graft.send(SIGTERM);
    graft.send(SIGCONT);
    const CommandResult result = graft.wait();
    EXPECT_EQ(temporaries(), 0) << result.code;
    if (!writing) continue;
    EXPECT_EQ(result.code, 130) << result.err;
    EXPECT_FALSE(std::filesystem::exists(out));
    ++met;
  }
  EXPECT_GT(met, 0) << "no stop met the writing";
}

TEST_F(Stop, WordsThatNobodyReadsAreCode4) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"predict", carried_weights(), folder / "photos"},
        {"inspect", carried_weights(), "--json"},
        {"convert", carried_weights(), folder / "m.npz"},
        {"doctor"}}) {
    const CommandResult result = run_graft(arguments, {.nobody_reads = true});
    EXPECT_EQ(result.code, 4) << arguments[0] << result.err;
    EXPECT_NE(result.err.find("graft: cannot write to standard output"), std::string::npos)
        << result.err;
  }
  EXPECT_EQ(io::read_weights(folder / "m.npz").tensors.size() > 0, true) << "the work was done";
}

TEST_F(Stop, AFileThatMayNotGrowIsCode4) {
  for (const char* name : {"m.safetensors", "m.npz", "m.onnx"}) {
    const CommandResult result =
        run_graft({"convert", carried_weights(), folder / name}, {.file_bytes = 200000});
    EXPECT_EQ(result.code, 4) << result.err;
    EXPECT_NE(result.err.find(std::string(name) + ": cannot write: File too large"),
              std::string::npos)
        << result.err;
    EXPECT_FALSE(std::filesystem::exists(folder / name));
  }
  EXPECT_EQ(temporaries(), 0);
}

// What is opened first gets the lowest number: without care a model file would be standard output
// and hold the certificate.
TEST_F(Stop, ClosedDescriptorsDoNotBecomeFiles) {
  const std::string out = folder / "m.safetensors", expected = folder / "expected.safetensors";
  ASSERT_EQ(run_graft({"convert", carried_weights(), expected}).code, 0);
  for (const std::vector<int>& closed :
       {std::vector<int>{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 1, 2}}) {
    std::filesystem::remove(out);
    const CommandResult result = run_graft({"convert", carried_weights(), out}, {.closed = closed});
    const bool can_speak = std::find(closed.begin(), closed.end(), 1) == closed.end();
    EXPECT_EQ(result.code, can_speak ? 0 : 4) << result.err;
    EXPECT_EQ(read_text(out), read_text(expected)) << closed.size();
  }
  const CommandResult mute = run_graft(waiting, {.closed = {0}});
  EXPECT_EQ(mute.code, 3) << mute.err;
  const CommandResult trained =
      run_graft({"pretrain", "--arch", "cifar_resnet20", "--data", folder / "photos", "--out",
                 folder / "run", "--epochs", "1"},
                {.closed = {0, 1, 2}});
  EXPECT_EQ(trained.code, 4) << "its last words had nowhere to go";
  EXPECT_NO_THROW(io::read_weights(folder / "run/model.safetensors"));
  EXPECT_EQ(read_text(folder / "run/metrics.jsonl").front(), '{');
}

}  // namespace
}  // namespace graft
