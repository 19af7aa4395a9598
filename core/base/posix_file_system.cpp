// FileSystem over POSIX calls: retries EINTR, turns errno into graft::Error with the path.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft {
namespace {

[[noreturn]] void fail_errno(const std::string& path, const char* action, int error) {
  const bool resource = error == ENOSPC || error == EDQUOT || error == EIO || error == EMFILE ||
                        error == ENFILE || error == ENOMEM || error == EFBIG;
  fail(resource ? ErrorCode::resource : ErrorCode::bad_input, path, ": cannot ", action, ": ",
       std::strerror(error));
}

template <class Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  ~PosixFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  const std::string& path() const override { return path_; }

  int64_t size() override {
    struct stat info;
    if (::fstat(descriptor_, &info) != 0) fail_errno(path_, "read its size", errno);
    if (S_ISDIR(info.st_mode)) bad_input(path_, ": is a folder, a file was expected");
    return info.st_size;
  }

  void read_at(int64_t offset, std::span<std::byte> out) override {
    while (!out.empty()) {
      const ssize_t got =
          retry([&] { return ::pread(descriptor_, out.data(), out.size(), offset); });
      if (got < 0) fail_errno(path_, "read", errno);
      GRAFT_CHECK(got > 0, path_, ": is truncated: ", out.size(), " bytes missing at offset ",
                  offset);
      out = out.subspan(static_cast<size_t>(got));
      offset += got;
    }
  }

  void append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = retry([&] { return ::write(descriptor_, bytes.data(), bytes.size()); });
      if (put < 0) fail_errno(path_, "write", errno);
      bytes = bytes.subspan(static_cast<size_t>(put));
    }
  }

  void sync() override {
    if (retry([&] { return ::fsync(descriptor_); }) != 0) fail_errno(path_, "sync", errno);
  }

  void close() override {
    if (descriptor_ < 0) return;
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0 && errno != EINTR) fail_errno(path_, "close", errno);
  }

 private:
  std::string path_;
  int descriptor_;
};

std::unique_ptr<File> open_file(const std::string& path, int flags, const char* action) {
  const int descriptor = retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (descriptor < 0) fail_errno(path, action, errno);
  return std::make_unique<PosixFile>(path, descriptor);
}

// A descriptor that closes itself.
struct Descriptor {
  int value = -1;
  explicit Descriptor(int descriptor) : value(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : value(std::exchange(other.value, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value, other.value);
    return *this;
  }
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

// One component at a time, each relative to the folder opened before it and with O_NOFOLLOW: no
// rename or link made meanwhile can lead outside.
std::unique_ptr<File> open_below(const std::string& folder, const std::string& relative) {
  const std::string path = join_path(folder, relative);
  Descriptor at(retry([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (at.value < 0) fail_errno(folder, "open", errno);
  for (size_t begin = 0;;) {
    const size_t end = std::min(relative.find('/', begin), relative.size());
    const std::string part = relative.substr(begin, end - begin);
    const bool last = end == relative.size();
    GRAFT_CHECK(!part.empty() && part != ".." && part.find('\0') == std::string::npos, path,
                ": is not a plain path below its folder");
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
    at = Descriptor(retry([&] { return ::openat(at.value, part.c_str(), flags); }));
    if (at.value < 0 && errno == ELOOP)
      bad_input(path, ": is or goes through a symbolic link, which is not followed");
    if (at.value < 0) fail_errno(path, "open", errno);
    if (last) break;
    begin = end + 1;
  }
  struct stat info;
  if (::fstat(at.value, &info) != 0) fail_errno(path, "read its size", errno);
  GRAFT_CHECK(S_ISREG(info.st_mode), path, ": is not a regular file");
  GRAFT_CHECK(info.st_nlink == 1, path, ": is a hard link to a file that stands elsewhere too");
  return std::make_unique<PosixFile>(path, std::exchange(at.value, -1));
}

class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<File> open_read(const std::string& path) override {
    return open_file(path, O_RDONLY, "open");
  }
  std::unique_ptr<File> create(const std::string& path) override {
    return open_file(path, O_WRONLY | O_CREAT | O_TRUNC, "create");
  }
  std::unique_ptr<File> open_beneath(const std::string& folder,
                                     const std::string& relative) override {
    return open_below(folder, relative);
  }
  std::unique_ptr<File> open_append(const std::string& path) override {
    return open_file(path, O_WRONLY | O_CREAT | O_APPEND, "open for appending");
  }

  bool exists(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0;
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
      const bool known = ::stat(join_path(path, name).c_str(), &info) == 0;
      entries.push_back({name, known && S_ISDIR(info.st_mode), known && S_ISREG(info.st_mode)});
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
    if (::mkdir(path.c_str(), 0755) != 0 && !(errno == EEXIST && is_directory(path)))
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
    if (retry([&] { return ::truncate(path.c_str(), size); }) != 0)
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
