// Axes as callers name them (negative ones count from the end), checked, and lists of positions
// along one.
#pragma once
#include <exception>
#include <span>
#include <stdexcept>
#include <vector>

#include "graft/core/base/checked_math.h"
#include "graft/core/tensor/allocation_limit.h"
#include "graft/core/tensor/shape.h"

namespace graft::functional {

// In [0, rank); bad_input naming `op` when it is not an axis.
inline int axis_of(const char* op, int axis, int rank) {
  GRAFT_CHECK(axis >= -rank && axis < rank, op, ": axis ", axis, " of a tensor of rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

// Room for `count` entries, counted against the thread's allocation limit; Error(resource) when
// there is none, before anything is filled.
template <class T>
void reserve_positions(const char* op, std::vector<T>& list, int64_t count) {
  charge_allocation(checked_mul(count, static_cast<int64_t>(sizeof(T))));
  try {
    if (count > int64_t{1} << 36) throw std::length_error("");
    list.reserve(static_cast<size_t>(count));
  } catch (const std::exception&) {
    fail(ErrorCode::resource, op, ": no memory for ", count, " positions");
  }
}

// flags[i]: axis i is among `axes`. bad_input when one is named twice.
inline std::vector<bool> axis_flags(const char* op, std::span<const int> axes, int rank) {
  std::vector<bool> flags(static_cast<size_t>(rank));
  for (const int axis : axes) {
    const auto at = static_cast<size_t>(axis_of(op, axis, rank));
    GRAFT_CHECK(!flags[at], op, ": axis ", axis, " is named twice");
    flags[at] = true;
  }
  return flags;
}

}  // namespace graft::functional
