// The memory and the computing that one check of an import may take.
#pragma once
#include <string>

#include "graft/core/tensor/allocation_limit.h"
#include "graft/models/graph/work_limit.h"
#include "graft/models/import.h"

namespace graft::models {

// Options with these limits alone.
inline ImportOptions limits_of(const ImportOptions& options) {
  ImportOptions limits;
  limits.check_bytes = options.check_bytes;
  limits.check_operations = options.check_operations;
  return limits;
}

// While it lives, this thread holds at most options.check_bytes beside what it has, and runs at
// most options.check_operations of a graph's nodes (kLeastCheckBytes and kLeastCheckOperations
// where they are 0); beyond: Error(bad_input).
class CheckLimits {
 public:
  explicit CheckLimits(const ImportOptions& options);
  bool was_reached() const { return memory_.was_reached() || work_.was_reached(); }
  // "would hold more than the 512 MiB that an import may (4 times the file, at least 512 MiB)", of
  // the limit that was reached.
  std::string reached() const;

 private:
  int64_t bytes_, operations_;
  ScopedAllocationLimit memory_;
  graph::ScopedWorkLimit work_;
};

}  // namespace graft::models
