#include "graft/core/base/file_system.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "graft/core/base/error.h"
#include "graft/core/base/sha256.h"
#include "graft/tests/support/faulty_file_system.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

TEST(FileSystem, AtomicWriteReplacesTheWholeFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.txt";
  write_file_atomically(path, std::string("first, a longer text"));
  write_file_atomically(path, std::string("second"));
  EXPECT_EQ(read_text_file(path, 100), "second");
  EXPECT_EQ(sha256_of_file(path), sha256_hex("second"));
  EXPECT_EQ(file_system().list(folder.path()).size(), 1u);
}

TEST(FileSystem, EveryFailedCallOfAnAtomicWriteLeavesTheOldFileAndNoOther) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.txt";
  write_file_atomically(path, std::string("old"));
  int failures = 0;
  for (int n = 0;; ++n) {
    FaultyFileSystem faulty(posix_file_system(), n);
    bool failed = false;
    {
      const ScopedFileSystem scope(faulty);
      try {
        write_file_atomically(path, std::string("changed"));
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(error.code(), ErrorCode::resource);
      }
    }
    if (!faulty.fired()) break;
    ++failures;
    const std::string content = read_text_file(path, 100);
    EXPECT_TRUE(content == "old" || content == "changed")
        << content;  // changed: only the folder's sync failed
    EXPECT_EQ(failed, true);
    EXPECT_EQ(file_system().list(folder.path()).size(), 1u) << "call " << n;
    write_file_atomically(path, std::string("old"));
  }
  EXPECT_EQ(failures, 6);  // create, append, sync, close, rename, folder sync
}

TEST(FileSystem, ErrorsNameThePath) {
  const TemporaryFolder folder;
  try {
    read_file(folder / "missing.bin", 10);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_NE(std::string(error.what()).find("missing.bin"), std::string::npos);
  }
  write_file_atomically(folder / "big.bin", std::string(100, 'x'));
  EXPECT_THROW(read_file(folder / "big.bin", 99), Error);
  EXPECT_THROW(read_file(folder.path(), 1 << 20), Error);
  const auto file = file_system().open_read(folder / "big.bin");
  std::vector<std::byte> buffer(60);
  EXPECT_THROW(file->read_at(50, buffer), Error);
}

// Whatever cannot be read like a file is refused at once, and nobody is waited for.
TEST(FileSystem, OnlyRegularFilesAreOpened) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe", socket = folder / "socket";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path - 1);
  const int listening = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  std::filesystem::create_symlink(pipe, folder / "link");
  const std::pair<std::string, std::string> kinds[] = {
      {pipe, "named pipe"},    {folder / "link", "named pipe"}, {socket, "socket"},
      {"/dev/null", "device"}, {"/dev/zero", "device"},         {folder.path(), "folder"}};
  for (const auto& [path, kind] : kinds) {
    const auto expect_refused = [&, &path = path, &kind = kind](const auto& call) {
      try {
        call();
        ADD_FAILURE() << path;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
        EXPECT_NE(std::string(error.what()).find("is a " + kind), std::string::npos)
            << error.what();
      }
    };
    expect_refused([&, &path = path] { file_system().open_read(path); });
    expect_refused([&, &path = path] { file_system().open_append(path); });
  }
  ::close(listening);
}

TEST(FileSystem, PathHelpers) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(parent_path("a/b.c"), "a");
  EXPECT_EQ(parent_path("b"), ".");
  EXPECT_EQ(parent_path("/b"), "/");
  EXPECT_EQ(file_name("a/b.c"), "b.c");
  EXPECT_EQ(lower_extension("x/y.NPZ"), ".npz");
  EXPECT_EQ(lower_extension("x.d/y"), "");
  EXPECT_EQ(lower_extension(".hidden"), "");
}

}  // namespace
}  // namespace graft
