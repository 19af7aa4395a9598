// What the POSIX file system's parts share: errno as graft::Error, calls again after a signal, and
// descriptors that close themselves.
#pragma once
#include <cerrno>
#include <string>
#include <utility>

namespace graft::posix {

// Error(resource) for what is the machine's (a full disk, no descriptors), else bad_input:
// "path: cannot action: why".
[[noreturn]] void fail_errno(const std::string& path, const char* action, int error);

template <class Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  int number() const { return number_; }
  bool open() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

// bad_input naming what a file of this mode is: a folder, a named pipe, a socket, a device.
[[noreturn]] void refuse_kind(unsigned mode, const std::string& path);
// The same unless `number` is a regular file.
void require_regular(int number, const std::string& path);

}  // namespace graft::posix
