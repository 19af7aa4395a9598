// A lock file: held by one, freed by the end of its process, whatever the process's number.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/text.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

namespace fs = std::filesystem;

TEST(FileLock, IsHeldByOneAndSaysByWhom) {
  const TemporaryFolder folder;
  const std::string path = folder / "lock";
  LockAttempt first = file_system().try_lock(path);
  ASSERT_NE(first.lock, nullptr);
  // A second opening in this very process, as a container's with the same number would be.
  const LockAttempt second = file_system().try_lock(path);
  EXPECT_EQ(second.lock, nullptr);
  EXPECT_TRUE(second.supported);
  EXPECT_EQ(second.holder.find(str("process ", static_cast<int64_t>(::getpid()), " on ")), 0u)
      << second.holder;
  first.lock.reset();
  EXPECT_FALSE(fs::exists(path)) << "the file goes with the lock";
  EXPECT_NE(file_system().try_lock(path).lock, nullptr);
}

TEST(FileLock, DiesWithItsProcess) {
  const TemporaryFolder folder;
  const std::string path = folder / "lock";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const LockAttempt held = file_system().try_lock(path);
    if (!held.lock || ::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const LockAttempt refused = file_system().try_lock(path);
  EXPECT_EQ(refused.lock, nullptr);
  EXPECT_EQ(refused.holder.find(str("process ", static_cast<int64_t>(child), " on ")), 0u)
      << refused.holder;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(path)) << "a killed process removes nothing";
  EXPECT_NE(file_system().try_lock(path).lock, nullptr);
  ::close(ready[0]);
  ::close(ready[1]);
}

// The words in the file decide nothing: this process's own number in it, or nonsense, locks nobody
// out.
TEST(FileLock, AnOldFileLocksNobodyOut) {
  const TemporaryFolder folder;
  for (const std::string& words : {str("process ", static_cast<int64_t>(::getpid()), " on here\n"),
                                   std::string(5000, 'x'), std::string()}) {
    write_text(folder / "lock", words);
    EXPECT_NE(file_system().try_lock(folder / "lock").lock, nullptr);
  }
}

TEST(FileLock, FollowsNoLinkAndWaitsForNoPipe) {
  const TemporaryFolder folder;
  write_text(folder / "precious", "precious");
  fs::create_symlink(folder / "precious", folder / "link");
  EXPECT_THROW(file_system().try_lock(folder / "link"), Error);
  EXPECT_EQ(read_text(folder / "precious"), "precious");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(file_system().try_lock(folder / "pipe"), Error);
  EXPECT_THROW(file_system().try_lock(folder.path()), Error);
}

TEST(FileLock, AChildAfterForkFreesNothing) {
  const TemporaryFolder folder;
  auto* held = new LockAttempt(file_system().try_lock(folder / "lock"));
  const pid_t child = ::fork();
  if (child == 0) {
    held->lock.reset();
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(folder / "lock"));
  EXPECT_EQ(file_system().try_lock(folder / "lock").lock, nullptr);
  delete held;
}

}  // namespace
}  // namespace graft
