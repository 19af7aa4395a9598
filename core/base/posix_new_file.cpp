// A file that will replace another: where it is made, how it is named, and who removes it when its
// writer dies.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <set>
#include <string_view>

#include "graft/core/base/error.h"
#include "graft/core/base/live_files.h"
#include "graft/core/base/posix_files.h"

namespace graft::posix {
namespace {

// ".graft-tmp-" and 32 random hexadecimal digits: of the same length whatever the target's name.
constexpr std::string_view kPrefix = ".graft-tmp-";
constexpr size_t kDigits = 32;

std::string random_name() {
  std::array<unsigned char, kDigits / 2> bytes;
  if (retry([&] { return ::getrandom(bytes.data(), bytes.size(), 0); }) !=
      static_cast<ssize_t>(bytes.size()))
    fail(ErrorCode::resource, "the system has no random numbers");
  std::string name(kPrefix);
  for (const unsigned char byte : bytes) {
    name += "0123456789abcdef"[byte >> 4];
    name += "0123456789abcdef"[byte & 15];
  }
  return name;
}

bool is_random_name(std::string_view name) {
  return name.starts_with(kPrefix) && name.size() == kPrefix.size() + kDigits &&
         name.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

// Its writer keeps it locked for as long as it lives, so that a lock that can be had means that the
// writer is dead: of this machine or container or of another, whatever their process numbers.
void remove_if_abandoned(int folder, const char* name) {
  const Descriptor file(
      ::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info;
  if (file.open() && ::fstat(file.number(), &info) == 0 && S_ISREG(info.st_mode) &&
      info.st_uid == ::geteuid() && ::flock(file.number(), LOCK_EX | LOCK_NB) == 0)
    ::unlinkat(folder, name, 0);
}

// Once a folder in a process's life. What cannot be done is left to the next one.
void remove_abandoned(const std::string& folder) {
  static std::mutex mutex;
  static std::set<std::string>* const seen = new std::set<std::string>;
  {
    const std::lock_guard lock(mutex);
    if (!seen->insert(folder).second) return;
  }
  DIR* const listed = ::opendir(folder.c_str());
  if (!listed) return;
  while (const dirent* item = ::readdir(listed))
    if (is_random_name(item->d_name)) remove_if_abandoned(::dirfd(listed), item->d_name);
  ::closedir(listed);
}

class NewFile final : public PosixFile {
 public:
  NewFile(const std::string& path, const std::string& target, Descriptor descriptor,
          Descriptor locked, std::unique_ptr<LiveFile>&& live)
      : PosixFile(path, target, std::move(descriptor)),
        live_(std::move(live)),
        locked_(std::move(locked)) {}
  ~NewFile() override { live_->remove(); }  // unless it was put in its place

 private:
  std::unique_ptr<LiveFile> live_;
  Descriptor locked_;  // the same open file: close() gives up the other, and the lock stays
};

// The owner, where that is allowed, and the permissions of what will be replaced. A group that
// cannot be kept gets no more than everybody has.
void take_over(int number, const struct stat& former, const std::string& target) {
  mode_t mode = former.st_mode & 0777;
  struct stat info;
  if (::fstat(number, &info) != 0) fail_errno(target, "look at it", errno);
  if (info.st_gid != former.st_gid && ::fchown(number, static_cast<uid_t>(-1), former.st_gid) != 0)
    mode &= ~mode_t{070} | (mode & 07) << 3;
  if (info.st_uid != former.st_uid &&
      ::fchown(number, former.st_uid, static_cast<gid_t>(-1)) != 0) {
    // the file is this user's now, as any that he makes
  }
  if (::fchmod(number, mode) != 0) fail_errno(target, "set its permissions", errno);
}

}  // namespace

std::string resolve_links(std::string path) {
  const std::string asked = path;
  for (int links = 0; links < 40; ++links) {
    struct stat info, around;
    if (::lstat(path.c_str(), &info) != 0) {
      if (errno != ENOENT) fail_errno(asked, "look at it", errno);
      return path;
    }
    if (!S_ISLNK(info.st_mode)) return path;
    const std::string folder = parent_path(path);
    if (::stat(folder.c_str(), &around) != 0) fail_errno(folder, "look at it", errno);
    GRAFT_CHECK(info.st_uid == ::geteuid() || info.st_uid == 0 || info.st_uid == around.st_uid,
                path, ": is a symbolic link that another user made, which is not followed");
    std::array<char, 4096> text;
    const ssize_t length = ::readlink(path.c_str(), text.data(), text.size());
    if (length < 0) fail_errno(path, "read the link", errno);
    GRAFT_CHECK(length < std::ssize(text), asked, ": its link is too long");
    const std::string next(text.data(), static_cast<size_t>(length));
    path = next.starts_with('/') ? next : join_path(folder, next);
  }
  bad_input(asked, ": too many symbolic links lead on from it");
}

std::unique_ptr<File> create_beside(const std::string& target) {
  const std::string folder = parent_path(target);
  GRAFT_CHECK(!file_name(target).empty(), "'", target, "' is not the name of a file");
  struct stat former;
  const bool replaces = ::lstat(target.c_str(), &former) == 0;
  if (!replaces && errno != ENOENT) fail_errno(target, "look at it", errno);
  GRAFT_CHECK(!replaces || !S_ISLNK(former.st_mode), target,
              ": is a symbolic link, which is not followed");
  if (replaces && !S_ISREG(former.st_mode)) refuse_kind(former.st_mode, target);
  remove_abandoned(folder);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::string path = join_path(folder, random_name());
    auto live = std::make_unique<LiveFile>(path);
    Descriptor file(retry([&] {
      return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    replaces ? 0600 : 0666);
    }));
    if (!file.open() && errno == EEXIST) continue;
    if (!file.open() && errno == ENOENT) bad_input(target, ": there is no folder ", folder);
    if (!file.open()) fail_errno(target, "create", errno);
    // Somebody who looks for what dead writers left may have come between, and removes it.
    struct stat info;
    if (::flock(file.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
    if (::fstat(file.number(), &info) == 0 && info.st_nlink == 0) continue;
    try {
      if (replaces) take_over(file.number(), former, target);
      Descriptor locked(::fcntl(file.number(), F_DUPFD_CLOEXEC, 3));
      if (!locked.open()) fail_errno(target, "create", errno);
      return std::make_unique<NewFile>(path, target, std::move(file), std::move(locked),
                                       std::move(live));  // moved when nothing can fail any more
    } catch (...) {
      live->remove();
      throw;
    }
  }
  fail(ErrorCode::resource, target, ": no temporary file can be made beside it");
}

}  // namespace graft::posix
