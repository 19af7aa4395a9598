// Every seed and every finding once through its fuzz target, in the ordinary build and under its
// sanitizers: what was fixed stays fixed where there is no clang.
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>

#include "graft/core/base/file_system.h"
#include "graft/tests/fuzz/target.h"

namespace graft::fuzz {

void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

namespace {

class Replay : public testing::TestWithParam<Target> {};

TEST_P(Replay, NothingIsFound) {
  int64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           str(GRAFT_SOURCE_DIR "/tests/fuzz/corpus/", GetParam().name))) {
    ++files;
    const std::vector<std::byte> bytes = read_file(entry.path(), 1 << 24);
    try {
      run_input(GetParam(), bytes);
    } catch (const std::exception& error) {
      ADD_FAILURE() << entry.path() << ": " << error.what();
    }
  }
  EXPECT_GT(files, 0);
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Replay, testing::ValuesIn(targets()),
                         [](const auto& target) { return std::string(target.param.name); });

// The checks themselves can fail.
TEST(FuzzTarget, FaultsOfOursAndOtherExceptionsAreFindings) {
  EXPECT_NO_THROW(run_input({"t", {1, 4096}, [](Bytes) { bad_input("damaged"); }}, {}));
  EXPECT_THROW(run_input({"t", {1, 4096}, [](Bytes) { fail(ErrorCode::internal, "a bug"); }}, {}),
               Error);
  EXPECT_THROW(run_input({"t", {1, 4096}, [](Bytes) { throw std::out_of_range("a bug"); }}, {}),
               std::out_of_range);
}

TEST(FuzzTarget, MemoryBeyondTheBoundIsAFinding) {
  if (!PeakMemory::is_counted()) GTEST_SKIP() << "this build has no AddressSanitizer";
  const auto takes_1000_bytes = [](Bytes) {
    std::vector<char>(600).swap(*std::make_unique<std::vector<char>>(400));
  };
  const std::vector<std::byte> input(10);
  EXPECT_NO_THROW(run_input({"t", {100, 100}, takes_1000_bytes}, input));
  EXPECT_THROW(run_input({"t", {90, 90}, takes_1000_bytes}, input), Error);
}

}  // namespace
}  // namespace graft::fuzz
