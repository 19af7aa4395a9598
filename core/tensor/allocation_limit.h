// A bound on what one thread takes from the CPU allocator: for building what a file merely
// describes.
#pragma once
#include <cstdint>

#include "graft/core/base/export.h"

namespace graft {

// What counts against a limit: all that is taken, so that the time to fill it is bounded too; or
// what is held at once, what this thread frees counting back.
enum class LimitedBytes { taken, held };

// While it lives, allocations of this thread beyond `bytes` end in Error(bad_input). The innermost
// one counts.
class GRAFT_API ScopedAllocationLimit {
 public:
  explicit ScopedAllocationLimit(int64_t bytes, LimitedBytes counted = LimitedBytes::taken);
  ~ScopedAllocationLimit();
  ScopedAllocationLimit(const ScopedAllocationLimit&) = delete;
  ScopedAllocationLimit& operator=(const ScopedAllocationLimit&) = delete;

  bool was_reached() const { return was_reached_; }  // some allocation was refused

 private:
  friend GRAFT_API void charge_allocation(int64_t bytes);
  friend GRAFT_API void credit_allocation(int64_t bytes) noexcept;
  int64_t bytes_, left_;
  LimitedBytes counted_;
  bool was_reached_ = false;
  ScopedAllocationLimit* outer_;
};

// Counts `bytes` that a thread takes elsewhere (lists of positions, say) against its innermost
// limit; Error(bad_input) beyond it.
GRAFT_API void charge_allocation(int64_t bytes);
// The allocator's: this thread freed as many.
GRAFT_API void credit_allocation(int64_t bytes) noexcept;

}  // namespace graft
