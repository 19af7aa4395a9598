// tools/count_tests.sh counts GoogleTest's tests in a log of ctest, and misses those that did not
// run.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

// Two suites: three tests of which one skips itself, and two of which one fails.
constexpr const char* kTwoSuites = R"([ RUN      ] A.One
[       OK ] A.One (0 ms)
[ RUN      ] A.Skips
/tests/a_test.cpp:4: Skipped
no data here

[  SKIPPED ] A.Skips (0 ms)
[==========] 3 tests from 1 test suite ran. (0 ms total)
[  PASSED  ] 2 tests.
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] A.Skips
[  FAILED  ] B.Two (0 ms)
[==========] 2 tests from 1 test suite ran. (0 ms total)
[  PASSED  ] 1 test.
[  FAILED  ] 1 test, listed below:
[  FAILED  ] B.Two
)";

// The script's exit code, and what it says.
struct Count {
  int code;
  std::string said;
};
Count count(const std::string& log, int least) {
  const TemporaryFolder folder;
  write_text(folder / "log", log);
  const int status =
      std::system((std::string(GRAFT_SOURCE_DIR "/tools/count_tests.sh ") + (folder / "log") + " " +
                   std::to_string(least) + " > " + (folder / "said"))
                      .c_str());
  return {WEXITSTATUS(status), read_text(folder / "said")};
}

TEST(CountTests, AddsUpSuitesAndSaysWhatWasSkippedAndWhy) {
  const Count counted = count(kTwoSuites, 5);
  EXPECT_EQ(counted.code, 0);
  EXPECT_EQ(counted.said,
            "SKIPPED A.Skips: no data here\n"
            "gtest: 5 tests ran in 2 suites: 3 passed, 1 skipped, 1 failed\n");
}

TEST(CountTests, FailsWhenFewerRanThanThereWere) {
  const Count counted = count(kTwoSuites, 6);
  EXPECT_EQ(counted.code, 1);
  EXPECT_NE(counted.said.find("only 5 tests ran and tests/least_count.txt asks for 6"),
            std::string::npos)
      << counted.said;
}

}  // namespace
}  // namespace graft
