#include "graft/core/base/posix_calls.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "graft/core/base/error.h"

namespace graft::posix {

void fail_errno(const std::string& path, const char* action, int error) {
  const bool resource = error == ENOSPC || error == EDQUOT || error == EIO || error == EMFILE ||
                        error == ENFILE || error == ENOMEM || error == EFBIG;
  fail(resource ? ErrorCode::resource : ErrorCode::bad_input, path, ": cannot ", action, ": ",
       std::strerror(error));
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

void require_regular(int number, const std::string& path) {
  struct stat info;
  if (::fstat(number, &info) != 0) fail_errno(path, "look at it", errno);
  if (!S_ISREG(info.st_mode)) refuse_kind(info.st_mode, path);
}

void refuse_kind(unsigned mode, const std::string& path) {
  const char* kind = S_ISDIR(mode)    ? "folder"
                     : S_ISFIFO(mode) ? "named pipe"
                     : S_ISSOCK(mode) ? "socket"
                                      : "device";
  bad_input(path, ": is a ", kind, ", a file was expected");
}

}  // namespace graft::posix
