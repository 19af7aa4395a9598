// An open file over POSIX calls.
#include <sys/stat.h>
#include <unistd.h>

#include "graft/core/base/error.h"
#include "graft/core/base/posix_files.h"

namespace graft::posix {

int64_t PosixFile::size() {
  struct stat info;
  if (::fstat(descriptor_.number(), &info) != 0) fail_errno(shown_, "read its size", errno);
  return info.st_size;
}

void PosixFile::read_at(int64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got =
        retry([&] { return ::pread(descriptor_.number(), out.data(), out.size(), offset); });
    if (got < 0) fail_errno(shown_, "read", errno);
    GRAFT_CHECK(got > 0, shown_, ": is truncated: ", out.size(), " bytes missing at offset ",
                offset);
    out = out.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

void PosixFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put =
        retry([&] { return ::write(descriptor_.number(), bytes.data(), bytes.size()); });
    if (put < 0) fail_errno(shown_, "write", errno);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void PosixFile::sync() {
  if (retry([&] { return ::fsync(descriptor_.number()); }) != 0) fail_errno(shown_, "sync", errno);
}

void PosixFile::close() {
  if (!descriptor_.open()) return;
  if (::close(descriptor_.release()) != 0 && errno != EINTR) fail_errno(shown_, "close", errno);
}

}  // namespace graft::posix
