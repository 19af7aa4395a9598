// Every hostile file (tests/support/hostile_*.cpp) through the command: exit code 3 and one line on
// stderr, in bounded time and memory, whatever the file's names hold.
#include "graft/tests/support/hostile_files.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

constexpr int kHangs = 60'000;             // ms, after which a command counts as hanging
constexpr int64_t kMostBytes = 600 << 20;  // resident, sanitizers' own included

class HostileCommand : public testing::TestWithParam<HostileKind> {
 protected:
  std::vector<std::string> arguments(const std::string& path) const {
    switch (GetParam()) {
      case HostileKind::weights: return {"inspect", path};
      case HostileKind::graph: return {"run", path, "--output", folder_ / "out"};
      case HostileKind::image: return {"predict", model_, path};
      case HostileKind::data: return {"evaluate", model_, "--data", path};
      case HostileKind::description: return {"convert", path, folder_ / "out.safetensors"};
      case HostileKind::model: break;
    }
    return {"predict", path, GRAFT_TEST_DATA "/images/rgb.png"};
  }
  void SetUp() override { ASSERT_EQ(run_graft({"convert", carried_weights(), model_}).code, 0); }

  TemporaryFolder folder_;
  std::string model_ = folder_ / "model.safetensors";
};

TEST_P(HostileCommand, RefusesInOneLine) {
  int files = 0;
  for (const HostileFile& file : hostile_files()) {
    if (file.kind != GetParam()) continue;
    SCOPED_TRACE(file.name);
    const CommandResult result = run_graft(arguments(make_hostile_file(file, folder_ / file.name)),
                                           {.kill_after_ms = kHangs});
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_EQ(result.err.rfind("graft: ", 0), 0u) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.err.find('\x1b'), std::string::npos) << result.err;
    for (const std::string& word : file.words)
      EXPECT_NE(result.err.find(word), std::string::npos) << "'" << word << "' in: " << result.err;
    // What this process had itself is no fault of the command: the address sanitizer keeps freed
    // samples. It forks with a few pages more than it counted.
    EXPECT_LE(result.peak_bytes, std::max(kMostBytes, result.inherited_bytes + (1 << 20)));
    ++files;
  }
  EXPECT_GT(files, 5);
}

INSTANTIATE_TEST_SUITE_P(Kinds, HostileCommand,
                         testing::Values(HostileKind::weights, HostileKind::graph,
                                         HostileKind::image, HostileKind::data, HostileKind::model,
                                         HostileKind::description),
                         [](const auto& kind) {
                           return std::string(
                               std::vector{"weights", "graph", "image", "data", "model",
                                           "description"}[static_cast<size_t>(kind.param)]);
                         });

}  // namespace
}  // namespace graft
