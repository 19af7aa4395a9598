// graft inspect: a screen that says what matters; every tensor when asked for.
#include <gtest/gtest.h>

#include <algorithm>

#include "graft/io/weights/weights.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

int64_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(Inspect, OneScreenSaysWhatIsUsedAndWhatIsGuessed) {
  const CommandResult short_form = run_graft({"inspect", carried_weights()});
  ASSERT_EQ(short_form.code, 0) << short_form.err;
  EXPECT_LE(lines_of(short_form.out), 24) << short_form.out;
  for (const char* words : {"97 tensors", "cifar_resnet20", "guessed", "skipped", "--tensors"})
    EXPECT_NE(short_form.out.find(words), std::string::npos) << words << "\n" << short_form.out;
  EXPECT_EQ(short_form.out.find("layer1.0.conv1.weight  "), std::string::npos);

  const CommandResult all = run_graft({"inspect", carried_weights(), "--tensors"});
  EXPECT_EQ(lines_of(all.out), lines_of(short_form.out) - 1 + 97);
  EXPECT_NE(all.out.find("layer1.0.conv1.weight  "), std::string::npos) << all.out;
}

TEST(Inspect, WhatIsNoNetworkShowsItsFirstTensors) {
  const TemporaryFolder folder;
  StateDict tensors;
  for (int i = 0; i < 20; ++i) tensors.add("t" + std::to_string(i), Tensor::zeros({3}));
  io::write_npz(folder / "w.npz", tensors);
  const CommandResult result = run_graft({"inspect", folder / "w.npz"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("as a network: "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("... and 8 more (--tensors lists all)"), std::string::npos)
      << result.out;
  EXPECT_NE(run_graft({"inspect", folder / "w.npz", "--tensors"}).out.find("t19"),
            std::string::npos);
}

}  // namespace
}  // namespace graft
