#include "graft/capi/guard.h"

#include <new>

namespace graft::capi {
namespace {

// Kept in place, so that running out of memory can be said.
thread_local char last_message[4096];

void put_message(const char* function, const char* what) noexcept {
  size_t at = 0;
  for (const char* part : {function, *function && *what ? ": " : "", what})
    for (; *part && at + 1 < sizeof last_message; ++part) last_message[at++] = *part;
  last_message[at] = '\0';
}

}  // namespace

graft_status guarded(const char* function, FunctionRef<void()> call) noexcept {
  last_message[0] = '\0';
  try {
    call();
    return GRAFT_OK;
  } catch (const Error& error) {
    put_message(function, error.what());
    return static_cast<graft_status>(error.code());
  } catch (const std::bad_alloc&) {
    put_message(function, "out of memory");
    return GRAFT_RESOURCE;
  } catch (const std::exception& error) {
    put_message(function, error.what());
    return GRAFT_INTERNAL;
  } catch (...) {
    put_message(function, "an exception that graft does not know");
    return GRAFT_INTERNAL;
  }
}

void set_message(const std::string& message) { put_message("", message.c_str()); }

const char* message() noexcept { return last_message; }

void check_not_null(const void* argument, const char* name) {
  if (!argument) fail(ErrorCode::usage, name, " is NULL");
}

void check_struct_size(size_t given, size_t known, const char* name) {
  if (given < known || given > known + kMostUnknownBytes)
    fail(ErrorCode::usage, name, "->size is ", given, "; it is to be set to sizeof *", name,
         ", which is ", known, " in this version");
}

void check_no_unknown_fields(const std::byte* from, const std::byte* to, const char* name) {
  if (std::any_of(from, to, [](std::byte b) { return b != std::byte{0}; }))
    fail(ErrorCode::usage, name,
         ": has fields that this version of graft does not know; "
         "the program was compiled with a later one");
}

}  // namespace graft::capi
