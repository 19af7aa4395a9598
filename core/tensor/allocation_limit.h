// A bound on what one thread takes from the CPU allocator: for building what a file merely
// describes.
#pragma once
#include <cstdint>

#include "graft/core/base/export.h"

namespace graft {

// While it lives, allocations of this thread beyond `bytes` in all (what is freed does not count
// back) end in Error(bad_input). The innermost one counts.
class GRAFT_API ScopedAllocationLimit {
 public:
  explicit ScopedAllocationLimit(int64_t bytes);
  ~ScopedAllocationLimit();
  ScopedAllocationLimit(const ScopedAllocationLimit&) = delete;
  ScopedAllocationLimit& operator=(const ScopedAllocationLimit&) = delete;

 private:
  int64_t left_;
  int64_t* outer_;
};

// Counts `bytes` that a thread takes elsewhere (lists of positions, say) against its innermost
// limit; Error(bad_input) beyond it.
GRAFT_API void charge_allocation(int64_t bytes);

}  // namespace graft
