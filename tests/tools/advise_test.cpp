// graft advise: the table, the words, the command to go on with, which then runs; what is refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

using nlohmann::json;

class AdviseVerb : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"red", "green", "blue"}, 10, 24); }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  TemporaryFolder folder;
};

TEST_F(AdviseVerb, TableWordsAndCommand) {
  const CommandResult advised = run_graft(
      {"advise", "--weights", carried_weights(), "--data", folder / "photos", "--seed", "3"});
  ASSERT_EQ(advised.code, 0) << advised.err;
  for (const char* part : {"weights", "parameters", "LogME", "H-score", "LEEP", "kNN",
                           "raw pixels, 16x16", "random weights, cifar_resnet20",
                           "Choice: ", "ransfer", "Next:\n  graft finetune --weights "})
    EXPECT_TRUE(has(advised.out, part)) << part << " in: " << advised.out;
  EXPECT_TRUE(has(advised.out, "--seed 3 --out run")) << advised.out;
}

TEST_F(AdviseVerb, JsonAndTheSameAgain) {
  const std::vector<std::string> line = {"advise", "--weights",       carried_weights(),
                                         "--data", folder / "photos", "--json"};
  const CommandResult advised = run_graft(line);
  ASSERT_EQ(advised.code, 0) << advised.err;
  json found = json::parse(advised.out), again = json::parse(run_graft(line).out);
  ASSERT_EQ(found["candidates"].size(), 1u);
  const json& first = found["candidates"][0];
  EXPECT_EQ(first["features"], 64);
  EXPECT_EQ(first["probe_folds"].size(), 5u);
  for (const char* score : {"probe", "logme", "h_score", "leep", "knn", "seconds"})
    EXPECT_TRUE(first[score].is_number()) << score;
  EXPECT_LE(first["probe_interval"][0], first["probe"]);
  EXPECT_EQ(found["baselines"].size(), 2u);
  EXPECT_TRUE(found["baselines"][0]["leep"].is_null());
  for (json* document : {&found, &again})
    for (const char* part : {"candidates", "baselines"})
      for (json& row : (*document)[part]) row.erase("seconds");
  EXPECT_EQ(found, again);
}

TEST_F(AdviseVerb, WhatIsRefused) {
  const auto refused = [&](std::vector<std::string> more, int code, const std::string& words) {
    std::vector<std::string> line = {"advise", "--data", folder / "photos"};
    line.insert(line.end(), more.begin(), more.end());
    const CommandResult result = run_graft(line);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_TRUE(has(result.err, words)) << words << " in: " << result.err;
    EXPECT_EQ(result.out, "");
  };
  refused({}, 2, "--weights");
  refused({"--weights", folder / "none.npz"}, 3, "there is no such file");
  refused({"--weights", carried_weights(), "--folds", "1"}, 2, "--folds");
  refused({"--weights", carried_weights(), "--cut", "layer9"}, 3, "cannot cut at 'layer9'");
  write_text(folder / "numbers.csv",
             "path,degrees\nphotos/red/0.ppm,1.5\nphotos/red/1.ppm,2.5\n"
             "photos/blue/0.ppm,7.25\nphotos/blue/1.ppm,8.125\n");
  const CommandResult numbers =
      run_graft({"advise", "--weights", carried_weights(), "--data", folder / "numbers.csv"});
  EXPECT_EQ(numbers.code, 3) << numbers.err;
  EXPECT_TRUE(has(numbers.err, "advice is for images of one class each")) << numbers.err;
}

}  // namespace
}  // namespace graft
