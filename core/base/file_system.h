// The seam through which everything in graft reads and writes files, so that tests can inject
// faults.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft {

// One open file. Every call throws graft::Error naming the path; the destructor closes and never
// throws.
class GRAFT_API File {
 public:
  virtual ~File() = default;
  virtual const std::string& path() const = 0;
  virtual int64_t size() = 0;
  // Fills `out` from byte `offset`; bad_input "... is truncated" when the file ends before.
  virtual void read_at(int64_t offset, std::span<std::byte> out) = 0;
  virtual void append(std::span<const std::byte> bytes) = 0;
  virtual void sync() = 0;   // fsync
  virtual void close() = 0;  // reports late write errors; idempotent
};

struct DirectoryEntry {
  std::string name{};  // without the folder
  bool is_directory = false;
  bool is_regular = false;
  std::string
      unreachable{};  // why it is neither: "dangling link", "path too long"; "": it is known
};

// What tells that a file was changed: its size and when it was last written.
struct FileStamp {
  int64_t size = -1;     // -1: it is not there
  int64_t modified = 0;  // nanoseconds
  bool operator==(const FileStamp&) const = default;
};

// Keeps other processes from what a lock file stands for, until it is destroyed or the process
// ends, however it ends. See FileSystem::try_lock.
class GRAFT_API FileLock {
 public:
  virtual ~FileLock() = default;
};

struct LockAttempt {
  std::unique_ptr<FileLock> lock{};  // null: not taken
  std::string holder{};   // of a lock that somebody else holds: what its process wrote into it
  bool supported = true;  // false: this file system has no locks
};

// Folders on the way are followed wherever links lead. The last part of a path: see each call.
class GRAFT_API FileSystem {
 public:
  virtual ~FileSystem() = default;
  // A regular file, perhaps through links. bad_input at once, without waiting for anybody, for a
  // folder, a named pipe, a socket or a device.
  virtual std::unique_ptr<File> open_read(const std::string& path) = 0;
  // A file that was not there before. Follows no link.
  virtual std::unique_ptr<File> create(const std::string& path) = 0;
  // A new file, path() of a random name, in the folder of `target`, which it is to replace: of
  // target's permissions where that exists, else of those that the umask leaves. bad_input when
  // target is there and no regular file. As long as the File lives, remove_live_files() removes it
  // (live_files.h) and others see that it is being written; it goes with the File unless it was
  // renamed. What dead processes left in the folder is removed. Follows no link.
  virtual std::unique_ptr<File> create_beside(const std::string& target) = 0;
  // Where a file stands that is to be written as `path`: path itself or, when that is a link, what
  // it leads to, be it there or not. bad_input for a link that neither this user nor root nor the
  // owner of the folder around it made.
  virtual std::string resolve_links(const std::string& path) { return path; }
  // Opens the regular file `relative` below `folder` for reading, following no link on the way;
  // bad_input for an absolute path, "..", a link, or a file with several hard links. For names that
  // come out of files (ONNX's external data): what is checked is what is opened.
  virtual std::unique_ptr<File> open_beneath(const std::string& folder,
                                             const std::string& relative);
  // A regular file, made when there is none. Follows no link.
  virtual std::unique_ptr<File> open_append(const std::string& path) = 0;
  // Takes the lock of the file `path`, which is made where it is missing, holds words for people
  // (which process of which machine), and is removed with the lock. Does not wait. Follows no link.
  virtual LockAttempt try_lock(const std::string& path);
  virtual bool exists(const std::string& path) = 0;
  // As at first: of the size alone.
  virtual FileStamp stamp(const std::string& path);
  virtual bool is_directory(const std::string& path) = 0;
  virtual std::vector<DirectoryEntry> list(
      const std::string& path) = 0;  // sorted by name, without . and ..
  virtual void create_directories(const std::string& path) = 0;
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void remove(const std::string& path) = 0;  // no error when it is not there
  virtual void truncate(const std::string& path, int64_t size) = 0;  // follows no link
  virtual void sync_directory(const std::string& path) = 0;
};

// The real one (POSIX).
GRAFT_API FileSystem& posix_file_system();
// The one in use: the real one unless a ScopedFileSystem replaced it (process-wide; for tests).
GRAFT_API FileSystem& file_system();

class GRAFT_API ScopedFileSystem {
 public:
  explicit ScopedFileSystem(FileSystem& replacement);
  ~ScopedFileSystem();
  ScopedFileSystem(const ScopedFileSystem&) = delete;
  ScopedFileSystem& operator=(const ScopedFileSystem&) = delete;

 private:
  FileSystem* previous_;
};

// Whole-file helpers on file_system(). `limit` in bytes: a larger file is refused before it is
// read.
GRAFT_API std::vector<std::byte> read_file(const std::string& path, int64_t limit);
GRAFT_API std::string read_text_file(const std::string& path, int64_t limit);
// Old content or new, never half, and whoever else writes the same path at the same time: writes a
// file beside it (create_beside), fsyncs, renames, fsyncs the folder; removes that file when
// anything fails. A path that is a link stays one, and what it leads to is replaced.
GRAFT_API void write_file_atomically(const std::string& path,
                                     std::span<const std::span<const std::byte>> parts);
GRAFT_API void write_file_atomically(const std::string& path, const std::string& text);
// Throws what write_file_atomically(path) would, as far as it can be known before the content is;
// leaves everything as it is. For results of long work, before it begins.
GRAFT_API void check_writable(const std::string& path);

// "a/b" from "a" and "b".
GRAFT_API std::string join_path(const std::string& folder, const std::string& name);
GRAFT_API std::string parent_path(const std::string& path);  // "." when there is none
GRAFT_API std::string file_name(const std::string& path);
GRAFT_API std::string lower_extension(const std::string& path);  // ".npz", "" when there is none

}  // namespace graft
