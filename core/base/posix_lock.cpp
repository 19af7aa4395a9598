// A lock that dies with its process: flock on a file that says whose it is.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "graft/core/base/error.h"
#include "graft/core/base/live_files.h"
#include "graft/core/base/posix_files.h"

namespace graft::posix {
namespace {

bool is_still_at(const std::string& path, int number) {
  struct stat at, held;
  return ::lstat(path.c_str(), &at) == 0 && ::fstat(number, &held) == 0 &&
         at.st_dev == held.st_dev && at.st_ino == held.st_ino;
}

class PosixLock final : public FileLock {
 public:
  PosixLock(const std::string& path, Descriptor file)
      : path_(path), live_(path), file_(std::move(file)), owner_(::getpid()) {}
  ~PosixLock() override {  // removed while it is held: nobody else's can stand there
    if (owner_ == ::getpid() && is_still_at(path_, file_.number())) ::unlink(path_.c_str());
  }

 private:
  std::string path_;
  LiveFile live_;
  Descriptor file_;
  pid_t owner_;  // a child after fork lets go of its copy only
};

// For people; what decides is the lock. So a full disk is no reason to fail.
void write_owner(int number) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string text =
      str("process ", static_cast<int64_t>(::getpid()), " on ", host.data(), "\n");
  if (::ftruncate(number, 0) != 0 || ::pwrite(number, text.data(), text.size(), 0) < 0) return;
}

std::string read_owner(int number) {
  std::array<char, 300> text;
  const ssize_t length = retry([&] { return ::pread(number, text.data(), text.size(), 0); });
  std::string owner(text.data(), length > 0 ? static_cast<size_t>(length) : 0);
  owner.resize(std::min(owner.find('\n'), owner.size()));
  return owner.empty() ? "another process" : owner;
}

Descriptor open_lock(const std::string& path) {
  constexpr int kFlags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  Descriptor file(retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | kFlags, 0666); }));
  if (!file.open() && (errno == EACCES || errno == EROFS))  // another user's: perhaps it is held
    file = Descriptor(retry([&] { return ::open(path.c_str(), O_RDONLY | kFlags); }));
  if (!file.open() && errno == ELOOP)
    bad_input(path, ": is a symbolic link, which is not followed");
  if (!file.open()) fail_errno(path, "open", errno);
  require_regular(file.number(), path);
  return file;
}

}  // namespace

LockAttempt try_lock(const std::string& path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Descriptor file = open_lock(path);
    if (retry([&] { return ::flock(file.number(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return {.holder = read_owner(file.number())};
      ::unlink(path.c_str());
      return {.supported = false};
    }
    if (!is_still_at(path, file.number())) continue;  // its holder has just removed it
    write_owner(file.number());
    return {.lock = std::make_unique<PosixLock>(path, std::move(file))};
  }
  return {.holder = "others, one after the other"};
}

}  // namespace graft::posix
