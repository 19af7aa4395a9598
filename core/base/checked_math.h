// Checked 64-bit arithmetic for sizes and offsets: every product of shapes and every byte count
// goes through here.
#pragma once
#include <cstdint>

#include "graft/core/base/error.h"

namespace graft {

inline int64_t checked_mul(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) [[unlikely]]
    bad_input("size overflow: ", a, " * ", b);
  return result;
}

inline int64_t checked_add(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result)) [[unlikely]]
    bad_input("size overflow: ", a, " + ", b);
  return result;
}

// Rounded-up quotient of a >= 0 and b > 0.
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t multiple) { return ceil_div(a, multiple) * multiple; }

}  // namespace graft
