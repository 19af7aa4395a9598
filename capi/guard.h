// What every C function does: exceptions become a status and this thread's message; null pointers
// and the sizes of structs are checked.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "graft/capi/graft.h"
#include "graft/core/base/error.h"
#include "graft/core/base/function_ref.h"

namespace graft::capi {

// Runs the call under the function's name, which begins each message. Never throws.
graft_status guarded(const char* function, FunctionRef<void()> call) noexcept;
// This thread's message; kept as it is by a call that succeeded after saying something.
void set_message(const std::string& message);
const char* message() noexcept;

// Error(usage) naming the argument when it is null.
void check_not_null(const void* argument, const char* name);

// Structs larger by more than this are taken for ones whose size was not set.
inline constexpr size_t kMostUnknownBytes = 4096;
void check_struct_size(size_t given, size_t known, const char* name);
// Error(usage) unless the bytes are zero.
void check_no_unknown_fields(const std::byte* from, const std::byte* to, const char* name);

// Of a struct that will be written to. Version 1 of a struct is its shortest: a later version, with
// more fields, must go on taking the sizes of the ones before.
template <class T>
void check_struct(const T* given, const char* name) {
  size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  check_struct_size(size, sizeof(T), name);
}
// A struct of the caller, who may have been compiled with a longer one whose further fields then
// must be zero.
template <class T>
T read_struct(const T* given, const char* name) {
  check_struct(given, name);
  size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  const auto* bytes = reinterpret_cast<const std::byte*>(given);
  check_no_unknown_fields(bytes + sizeof(T), bytes + std::max(size, sizeof(T)), name);
  T read{};
  std::memcpy(&read, given, sizeof(T));
  return read;
}
// The same of a pointer that may be null: then all is default.
template <class T>
T read_optional(const T* given, const char* name) {
  return given ? read_struct(given, name) : T{};
}
// Into a struct of the caller: its size stays.
template <class T>
void write_struct(T* to, T values, const char* name) {
  check_struct(to, name);
  std::memcpy(&values.size, to, sizeof values.size);
  std::memcpy(to, &values, sizeof(T));
}

inline std::string text_or(const char* text, const char* otherwise) {
  return text ? text : otherwise;
}

}  // namespace graft::capi
