// Text assembly for messages: str("conv2d: got ", n, " channels") without streams or printf
// formats.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "graft/core/base/export.h"

namespace graft {

namespace detail {
GRAFT_API void append_double(std::string& out,
                             double value);  // shortest form that reads back equal

inline void append(std::string& out, std::string_view text) { out += text; }
inline void append(std::string& out, const char* text) { out += text ? text : "(null)"; }
inline void append(std::string& out, char c) { out += c; }
inline void append(std::string& out, bool b) { out += b ? "true" : "false"; }
template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char>) void append(std::string& out, T value) {
  out += std::to_string(value);
}
template <std::floating_point T>
void append(std::string& out, T value) {
  append_double(out, static_cast<double>(value));
}
template <class T>
requires requires(const T& t) {
  { t.to_string() } -> std::convertible_to<std::string>;
}
void append(std::string& out, const T& value) { out += value.to_string(); }
}  // namespace detail

// Concatenates its arguments: strings, numbers, bools and anything with to_string().
template <class... Parts>
std::string str(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

// "a, b, c" from any range whose elements str() accepts.
template <class Range>
std::string join(const Range& range, std::string_view separator = ", ") {
  std::string out;
  bool first = true;
  for (const auto& item : range) {
    if (!first) out += separator;
    detail::append(out, item);
    first = false;
  }
  return out;
}

}  // namespace graft
