// Ctrl-C as a question that the training loop asks between steps, so that it can save before it
// leaves.
#pragma once
#include <atomic>

namespace graft::tools {

// While it lives, the first SIGINT or SIGTERM only sets a flag; a second one ends the process at
// once.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  const std::atomic<bool>& flag() const;
};

}  // namespace graft::tools
