// Files that are replaced whole: by whoever, over whatever, and when the writer dies.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/live_files.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

namespace fs = std::filesystem;

int mode_of(const std::string& path) {
  struct stat info;
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return static_cast<int>(info.st_mode & 07777);
}
int64_t files_in(const std::string& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}
std::string refusal(const std::string& path) {
  try {
    write_file_atomically(path, std::string("x"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "";
}

// Threads of one process are the hardest case of two processes with one number.
TEST(AtomicFile, WritersOfOnePathDoNotMix) {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  std::vector<std::thread> writers;
  for (const char letter : {'a', 'b', 'c', 'd'})
    writers.emplace_back([&path, letter] {
      const std::string half(static_cast<size_t>(10000 + letter), letter);
      const auto bytes = std::as_bytes(std::span(half));
      const std::span<const std::byte> parts[] = {bytes, bytes, bytes};
      for (int i = 0; i < 25; ++i) {
        write_file_atomically(path, parts);
        const std::string found = read_text_file(path, 1 << 20);
        EXPECT_EQ(found, std::string(3 * (10000 + static_cast<size_t>(found[0])), found[0]));
      }
    });
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(files_in(folder.path()), 1);
}

TEST(AtomicFile, TheLongestNamesCanBeWritten) {
  const TemporaryFolder folder;
  for (const size_t length : {1, 200, 240, 255}) {
    const std::string path = folder / std::string(length, 'n');
    write_file_atomically(path, std::string("x"));
    EXPECT_EQ(read_text_file(path, 1), "x") << length;
  }
  EXPECT_NE(refusal(folder / std::string(256, 'n')).find("File name too long"), std::string::npos);
}

TEST(AtomicFile, KeepsThePermissionsOfWhatItReplaces) {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  const mode_t before = ::umask(027);
  write_file_atomically(path, std::string("1"));
  EXPECT_EQ(mode_of(path), 0640) << "what the umask leaves";
  for (const int mode : {0600, 0644, 0444, 0666, 0755}) {
    ASSERT_EQ(::chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    write_file_atomically(path, std::string("2"));
    EXPECT_EQ(mode_of(path), mode);
  }
  ::umask(before);
  if (::geteuid() != 0) return;
  ASSERT_EQ(::chown(path.c_str(), 1234, 1235), 0);
  write_file_atomically(path, std::string("3"));
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1234u);
  EXPECT_EQ(info.st_gid, 1235u);
}

// While a file is written its content is no more readable than the one that it replaces.
TEST(AtomicFile, IsNeverMoreOpenThanItsTarget) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", std::string("secret"));
  ASSERT_EQ(::chmod((folder / "a").c_str(), 0600), 0);
  const auto file = file_system().create_beside(folder / "a");
  EXPECT_EQ(mode_of(file->path()), 0600);
  file_system().remove(file->path());
}

TEST(AtomicFile, ALinkStaysAndWhatItLeadsToIsReplaced) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "far");
  fs::create_symlink("far/real", folder / "near");  // relative, dangling at first
  fs::create_symlink(folder / "near", folder / "twice");
  for (const char* name : {"near", "twice"}) {
    write_file_atomically(folder / name, std::string(name));
    EXPECT_TRUE(fs::is_symlink(folder / name));
    EXPECT_FALSE(fs::is_symlink(folder / "far/real"));
    EXPECT_EQ(read_text_file(folder / "far/real", 10), name);
  }
  EXPECT_EQ(files_in(folder / "far"), 1);
  fs::create_symlink("circle", folder / "circle");
  EXPECT_NE(refusal(folder / "circle").find("symbolic links"), std::string::npos);
  if (::geteuid() != 0) return;  // a link of another user, in a folder of this one
  fs::create_symlink(folder / "far/real", folder / "planted");
  ASSERT_EQ(::lchown((folder / "planted").c_str(), 1234, 1234), 0);
  EXPECT_NE(refusal(folder / "planted").find("another user"), std::string::npos);
  EXPECT_EQ(read_text_file(folder / "far/real", 10), "twice");
}

TEST(AtomicFile, ReplacesNothingButFiles) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "d");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(refusal(folder / "d").find("is a folder"), std::string::npos);
  EXPECT_NE(refusal(folder / "pipe").find("is a named pipe"), std::string::npos);
  EXPECT_NE(refusal("/dev/null").find("is a device"), std::string::npos);
  EXPECT_NE(refusal(folder / "none/a").find("there is no folder"), std::string::npos);
  EXPECT_EQ(files_in(folder.path()), 2);
}

TEST(AtomicFile, CheckWritableSaysTheSameAndLeavesNothing) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "d");
  write_file_atomically(folder / "old", std::string("old"));
  check_writable(folder / "a");
  check_writable(folder / "old");
  EXPECT_EQ(read_text_file(folder / "old", 10), "old");
  EXPECT_EQ(files_in(folder.path()), 2);
  for (const std::string& bad : {folder / "d", folder / "none/a", folder / std::string(256, 'n'),
                                 std::string("/dev/null"), std::string()})
    EXPECT_THROW(check_writable(bad), Error) << bad;
}

// The name cannot be known beforehand; should somebody guess it, nothing is followed or reused.
TEST(AtomicFile, TheNamesAreRandomAndTheFilesNew) {
  const TemporaryFolder folder;
  std::set<std::string> names;
  for (int i = 0; i < 50; ++i) {
    const auto file = file_system().create_beside(folder / "a");
    names.insert(file_name(file->path()));
    EXPECT_EQ(parent_path(file->path()), folder.path());
    EXPECT_LE(file_name(file->path()).size(), 64u);
    file_system().remove(file->path());
  }
  EXPECT_EQ(names.size(), 50u);
  fs::create_symlink(folder / "victim", folder / "planted");
  EXPECT_THROW(file_system().create(folder / "planted"), Error);
  EXPECT_THROW(file_system().open_append(folder / "planted"), Error);
  EXPECT_FALSE(fs::exists(folder / "victim"));
  write_file_atomically(folder / "there", std::string("x"));
  EXPECT_THROW(file_system().create(folder / "there"), Error);
}

// In a process of its own; `then` ends it. Returns its status.
template <class Work>
int in_child(Work&& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(AtomicFile, WhatAKilledWriterLeftIsRemovedByTheNext) {
  const TemporaryFolder folder;
  in_child([&] {
    const auto half = file_system().create_beside(folder / "a");
    const std::string text = "half";
    half->append(std::as_bytes(std::span(text)));
    ::kill(::getpid(), SIGKILL);
  });
  ASSERT_EQ(files_in(folder.path()), 1);
  write_text(folder / ".graft-tmp-of-the-user", "kept: not a name of graft's");
  const auto living = file_system().create_beside(folder / "b");  // in this process: it lives
  EXPECT_EQ(files_in(folder.path()), 2);
  EXPECT_TRUE(fs::exists(living->path()));
  // Others look at the same folder (by a name of their own for it: each process looks once).
  in_child([&] { write_file_atomically(folder / "./c", std::string("c")); });
  EXPECT_TRUE(fs::exists(living->path()));
  living->close();
  in_child([&] { write_file_atomically(folder / "././c", std::string("c")); });
  EXPECT_TRUE(fs::exists(living->path())) << "closed, but not in its place yet";
  file_system().rename(living->path(), folder / "b");
  EXPECT_EQ(files_in(folder.path()), 3);
}

TEST(AtomicFile, AProcessThatIsToldToStopRemovesItsFiles) {
  const TemporaryFolder folder;
  const int status = in_child([&] {
    const auto lock = file_system().try_lock(folder / "lock");
    const auto half = file_system().create_beside(folder / "a");
    const auto other = file_system().create_beside(folder / "b");
    file_system().rename(other->path(), folder / "b");
    std::signal(SIGTERM, [](int) {
      remove_live_files();
      ::_exit(9);
    });
    ::raise(SIGTERM);
  });
  EXPECT_EQ(WEXITSTATUS(status), 9);
  EXPECT_EQ(files_in(folder.path()), 1);
  EXPECT_TRUE(fs::exists(folder / "b"));
}

TEST(AtomicFile, WhatIsNotPutInItsPlaceGoesWithItsFile) {
  const TemporaryFolder folder;
  { const auto half = file_system().create_beside(folder / "a"); }
  EXPECT_EQ(files_in(folder.path()), 0);
  {
    const auto whole = file_system().create_beside(folder / "a");
    file_system().rename(whole->path(), folder / "a");
  }
  EXPECT_EQ(files_in(folder.path()), 1);
  in_child([&] {
    auto half = file_system().create_beside(folder / "b");
    const std::string path = half->path();
    if (::fork() == 0) {
      half = nullptr;  // its parent's
      ::_exit(0);
    }
    ::wait(nullptr);
    write_text(folder / "kept", fs::exists(path) ? "yes" : "no");
    half = nullptr;
  });
  EXPECT_EQ(read_text_file(folder / "kept", 10), "yes");
  EXPECT_EQ(files_in(folder.path()), 2);
}

// A folder in the file's place stands for a file system that does not remove it at first.
TEST(AtomicFile, WhatCouldNotBeRemovedIsRemovedAtTheEnd) {
  const TemporaryFolder folder;
  auto half = file_system().create_beside(folder / "a");
  const std::string path = half->path();
  fs::remove(path);
  fs::create_directory(path);
  half = nullptr;
  fs::remove(path);
  write_text(path, "half");
  in_child([] { remove_live_files(); });
  EXPECT_TRUE(fs::exists(path)) << "not a child's";
  remove_live_files();
  EXPECT_FALSE(fs::exists(path));
}

TEST(AtomicFile, AChildLeavesItsParentsFilesAlone) {
  const TemporaryFolder folder;
  const auto half = file_system().create_beside(folder / "a");
  in_child([] { remove_live_files(); });
  EXPECT_TRUE(fs::exists(half->path()));
  remove_live_files();
  EXPECT_FALSE(fs::exists(half->path()));
}

}  // namespace
}  // namespace graft
