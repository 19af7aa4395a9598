// The HDF5 reader's sandbox, tried from inside (tests/tools/sandbox/try_calls.cpp). Not skipped
// anywhere: a system where it does not hold should say so here.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include "graft/core/base/text.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

struct Tried {
  int code = -1;
  std::map<std::string, std::string> answers;  // "OK" or errno's name
};

Tried try_sandbox(const std::string& option) {
  const TemporaryFolder folder;
  write_text(folder / "victim", "victim");
  write_text(folder / "gone", "gone");
  std::filesystem::create_directory(folder / "empty");
  const std::string out = folder / "out";
  const std::string command =
      str(GRAFT_TRY_SANDBOX, " ", folder.path(), " ", option, " < /dev/zero | cat > ", out);
  Tried tried;
  tried.code = WEXITSTATUS(std::system(("bash -c 'set -o pipefail; " + command + "'").c_str()));
  std::istringstream lines(read_text(out));
  for (std::string name, answer; lines >> name >> answer;) tried.answers[name] = answer;
  if (!option.empty()) return tried;
  EXPECT_EQ(read_text(folder / "victim"), "victim");
  EXPECT_EQ(read_text(folder / "gone"), "gone");
  EXPECT_TRUE(std::filesystem::exists(folder / "empty"));
  EXPECT_FALSE(std::filesystem::exists(folder / "made"));
  return tried;
}

TEST(Hdf5Sandbox, EveryCallThatReadingDoesNotNeedIsRefused) {
  const Tried tried = try_sandbox("");
  EXPECT_EQ(tried.code, 0);
  EXPECT_GE(tried.answers.size(), 54u);
  for (const char* name :
       {"open", "truncate", "unlink", "rename", "fork", "kill", "ptrace", "socket", "execve"})
    EXPECT_TRUE(tried.answers.contains(name)) << name;
  for (const auto& [name, answer] : tried.answers)
    EXPECT_EQ(answer, name == "filter" || name[0] == '+' ? "OK" : "EPERM") << name;
}

// The walls behind the filter: limits, and Landlock where the kernel has it.
TEST(Hdf5Sandbox, WithoutTheFilterNoFileIsOpenedEither) {
  const Tried tried = try_sandbox("--no-filter");
  EXPECT_EQ(tried.code, 0);
  for (const char* name : {"open", "open_write", "create", "openat2", "memfd_create"})
    EXPECT_EQ(tried.answers.at(name), "EMFILE") << name;
  EXPECT_EQ(tried.answers.at("+tighter_limit_stays"), "OK") << "limits are lowered only";
  for (const char* name : {"read_descriptor_3", "write_descriptor_3"})
    EXPECT_EQ(tried.answers.at(name), "EBADF") << name;
#if defined(__NR_landlock_create_ruleset)
  if (::syscall(__NR_landlock_create_ruleset, nullptr, 0, 1) < 1) return;  // the kernel's version
  for (const char* name : {"unlink", "rename", "link", "symlink", "mkdir", "rmdir", "mknod"})
    EXPECT_EQ(tried.answers.at(name), "EACCES") << name;
#endif
}

}  // namespace
}  // namespace graft
