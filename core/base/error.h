// The one exception type of the library, and the checks that throw it. The library never aborts and
// never prints.
#pragma once
#include <stdexcept>
#include <string>

#include "graft/core/base/export.h"
#include "graft/core/base/text.h"

namespace graft {

// What went wrong, in the terms of the command's exit codes.
enum class ErrorCode : int {
  internal = 1,   // a fault of graft itself
  usage = 2,      // a wrong option or call
  bad_input = 3,  // a file, image, label or shape that cannot be used
  resource = 4,   // out of memory, disk or device trouble
  stopped = 130,  // left because it was asked to (core/runtime/stop.h)
};

// what() is one sentence that names the op, file or tensor. Crosses the C++ API; nothing else is
// thrown on purpose.
class GRAFT_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }
  // The same error with "context: " put before its message.
  Error with_context(const std::string& context) const {
    return Error(code_, context + ": " + what());
  }

 private:
  ErrorCode code_;
};

template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  throw Error(code, str(parts...));
}
template <class... Parts>
[[noreturn]] void bad_input(const Parts&... parts) {
  throw Error(ErrorCode::bad_input, str(parts...));
}

}  // namespace graft

// The caller's mistake: throws Error(bad_input) with the message. The message is built only on
// failure.
#define GRAFT_CHECK(condition, ...)    \
  do {                                 \
    if (!(condition)) [[unlikely]]     \
      ::graft::bad_input(__VA_ARGS__); \
  } while (false)

// Our mistake: throws Error(internal) naming the place.
#define GRAFT_ASSERT(condition)                                                                \
  do {                                                                                         \
    if (!(condition)) [[unlikely]]                                                             \
      ::graft::fail(::graft::ErrorCode::internal, "graft bug: ", #condition, " at ", __FILE__, \
                    ":", __LINE__);                                                            \
  } while (false)
