// FileSystem over POSIX calls: retries EINTR, turns errno into graft::Error with the path.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/posix_files.h"

namespace graft {
namespace {

using posix::Descriptor;
using posix::fail_errno;
using posix::retry;

// Opens a regular file. O_NONBLOCK: a named pipe that came into its place meanwhile is not waited
// for.
std::unique_ptr<File> open_regular(const std::string& path, int flags, const char* action) {
  Descriptor file(
      retry([&] { return ::open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666); }));
  if (!file.open() && errno == ELOOP && (flags & O_NOFOLLOW) != 0)
    bad_input(path, ": is a symbolic link, which is not followed");
  if (!file.open()) fail_errno(path, action, errno);
  posix::require_regular(file.number(), path);
  return std::make_unique<posix::PosixFile>(path, std::move(file));
}

// Some devices act on being opened: what can be seen not to be a file is not.
void refuse_what_is_no_file(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    posix::refuse_kind(info.st_mode, path);
}

// One component at a time, each relative to the folder opened before it and with O_NOFOLLOW: no
// rename or link made meanwhile can lead outside.
std::unique_ptr<File> open_below(const std::string& folder, const std::string& relative) {
  const std::string path = join_path(folder, relative);
  Descriptor at(retry([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!at.open()) fail_errno(folder, "open", errno);
  for (size_t begin = 0;;) {
    const size_t end = std::min(relative.find('/', begin), relative.size());
    const std::string part = relative.substr(begin, end - begin);
    const bool last = end == relative.size();
    GRAFT_CHECK(!part.empty() && part != ".." && part.find('\0') == std::string::npos, path,
                ": is not a plain path below its folder");
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
    at = Descriptor(retry([&] { return ::openat(at.number(), part.c_str(), flags); }));
    if (!at.open() && errno == ELOOP)
      bad_input(path, ": is or goes through a symbolic link, which is not followed");
    if (!at.open()) fail_errno(path, "open", errno);
    if (last) break;
    begin = end + 1;
  }
  struct stat info;
  if (::fstat(at.number(), &info) != 0) fail_errno(path, "read its size", errno);
  GRAFT_CHECK(S_ISREG(info.st_mode), path, ": is not a regular file");
  GRAFT_CHECK(info.st_nlink == 1, path, ": is a hard link to a file that stands elsewhere too");
  return std::make_unique<posix::PosixFile>(path, std::move(at));
}

// Why stat() does not know a folder's entry.
const char* reason_of(int error) {
  switch (error) {
    case ENOENT:
    case ELOOP: return "dangling link";
    case ENAMETOOLONG: return "path too long";
    case EACCES: return "no permission";
    default: return "unreadable";
  }
}

class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<File> open_read(const std::string& path) override {
    refuse_what_is_no_file(path);
    return open_regular(path, O_RDONLY, "open");
  }
  std::unique_ptr<File> create(const std::string& path) override {
    return open_regular(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, "create");
  }
  std::unique_ptr<File> create_beside(const std::string& target) override {
    return posix::create_beside(target);
  }
  std::string resolve_links(const std::string& path) override { return posix::resolve_links(path); }
  LockAttempt try_lock(const std::string& path) override { return posix::try_lock(path); }
  std::unique_ptr<File> open_beneath(const std::string& folder,
                                     const std::string& relative) override {
    return open_below(folder, relative);
  }
  std::unique_ptr<File> open_append(const std::string& path) override {
    refuse_what_is_no_file(path);
    return open_regular(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, "open for appending");
  }

  bool exists(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0;
  }
  FileStamp stamp(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return {};
    return {info.st_size, int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
  }
  bool is_directory(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }

  std::vector<DirectoryEntry> list(const std::string& path) override {
    DIR* folder = ::opendir(path.c_str());
    if (!folder) fail_errno(path, "list", errno);
    std::vector<DirectoryEntry> entries;
    while (const dirent* item = ::readdir(folder)) {
      const std::string name = item->d_name;
      if (name == "." || name == "..") continue;
      struct stat info;
      const std::string whole = join_path(path, name);
      const bool known = ::stat(whole.c_str(), &info) == 0;
      const int error = errno;
      entries.push_back({name, known && S_ISDIR(info.st_mode), known && S_ISREG(info.st_mode),
                         known ? "" : reason_of(error)});
    }
    ::closedir(folder);
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  void create_directories(const std::string& path) override {
    if (path.empty() || is_directory(path)) return;
    const std::string parent = parent_path(path);
    if (parent != path && parent != ".") create_directories(parent);
    if (::mkdir(path.c_str(), 0777) != 0 && !(errno == EEXIST && is_directory(path)))
      fail_errno(path, "create the folder", errno);
  }

  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      fail_errno(to, "put the finished file in place", errno);
  }
  void remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_errno(path, "remove", errno);
  }
  void truncate(const std::string& path, int64_t size) override {
    const Descriptor file(retry([&] {
      return ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }));
    if (!file.open() || retry([&] { return ::ftruncate(file.number(), size); }) != 0)
      fail_errno(path, "truncate", errno);
  }
  void sync_directory(const std::string& path) override {
    const int descriptor =
        retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (descriptor < 0) fail_errno(path, "open", errno);
    const int result = retry([&] { return ::fsync(descriptor); });
    const int error = errno;
    ::close(descriptor);
    if (result != 0 && error != EINVAL)
      fail_errno(path, "sync", error);  // EINVAL: this file system has no such call
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem* instance = new PosixFileSystem;
  return *instance;
}

}  // namespace graft
