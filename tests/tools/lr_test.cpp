// graft lr: the range test through the command: its table, JSON and page, and what it refuses.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/core/base/file_system.h"
#include "graft/tests/support/command.h"

namespace graft {
namespace {

using RatesJson = nlohmann::json;

CommandResult test_rates(const TemporaryFolder& folder, std::vector<std::string> more) {
  write_photos(folder / "photos", {"red", "green", "blue"}, 8, 36);
  std::vector<std::string> arguments = {
      "lr",     "--weights", carried_weights(), "--data", folder / "photos", "--batch", "8",
      "--seed", "3",         "--steps",         "30"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_graft(arguments);
}

TEST(LearningRateVerb, GivesTheCurveAndARate) {
  const TemporaryFolder folder;
  const CommandResult run =
      test_rates(folder, {"--json", "--from", "1e-5", "--to", "10", "--html", folder / "lr.html"});
  ASSERT_EQ(run.code, 0) << run.err;
  const RatesJson document = RatesJson::parse(run.out);
  ASSERT_GE(document["steps"].size(), 10u);
  EXPECT_DOUBLE_EQ(document["steps"][0]["lr"], 1e-5);
  EXPECT_GT(document["steps"][0]["loss"], 0);
  EXPECT_EQ(document["optimizer"], "adam");
  ASSERT_TRUE(document["suggested"].is_number()) << run.out;
  EXPECT_GT(document["suggested"], 1e-6);
  EXPECT_LT(document["suggested"], 1);
  const std::string page = read_text(folder / "lr.html");
  for (const char* part : {"<svg", "polyline", "suggested: --lr ", "</html>"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

TEST(LearningRateVerb, SaysItInATableAndWritesNothing) {
  const TemporaryFolder folder;
  const CommandResult run = test_rates(folder, {"--freeze", "none", "--optimizer", "lamb"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("smoothed"), std::string::npos) << run.out;
  EXPECT_TRUE(run.out.find("suggested: --lr ") != std::string::npos ||
              run.out.find("no rate is suggested") != std::string::npos)
      << run.out;
  size_t entries = 0;
  for (const DirectoryEntry& entry : file_system().list(folder / "")) {
    EXPECT_EQ(entry.name, "photos");
    ++entries;
  }
  EXPECT_EQ(entries, 1u);
}

TEST(LearningRateVerb, RefusesWhatIsOfARunAndARangeThatIsNone) {
  const TemporaryFolder folder;
  for (const char* flag : {"--out", "--lr", "--epochs", "--resume"}) {
    const CommandResult run = test_rates(folder, {flag, "1"});
    EXPECT_EQ(run.code, 2) << flag << run.err;
  }
  const CommandResult falling = test_rates(folder, {"--from", "1", "--to", "0.1"});
  EXPECT_EQ(falling.code, 3);
  EXPECT_NE(falling.err.find("range test: rates from 1 to 0.1 do not rise"), std::string::npos)
      << falling.err;
  EXPECT_EQ(test_rates(folder, {"--steps", "3"}).code, 2);
}

}  // namespace
}  // namespace graft
