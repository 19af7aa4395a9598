// Stopping long work: a thread says which flag ends it, and kernels and loaders look at the flag.
#pragma once
#include <atomic>

#include "graft/core/base/error.h"

namespace graft {

// Work was left because a flag asked for it; what it was computing is not there.
class GRAFT_API Stopped final : public Error {
 public:
  Stopped() : Error(ErrorCode::stopped, "stopped, as asked") {}
};

// While it lives, everything this thread computes ends with Stopped soon after `*stop` is true: at
// the next kernel or image. Null: nothing asks, whatever an outer one says. For work that changes
// nothing until it is done; a training step is not left half-way.
class GRAFT_API ScopedStop {
 public:
  explicit ScopedStop(const std::atomic<bool>* stop);
  ~ScopedStop();
  ScopedStop(const ScopedStop&) = delete;
  ScopedStop& operator=(const ScopedStop&) = delete;

 private:
  const std::atomic<bool>* outer_;
};

// This thread's flag, for work that is handed to other threads; may be null.
GRAFT_API const std::atomic<bool>* current_stop();
// Throws Stopped when the flag is set.
inline void check_stop(const std::atomic<bool>* stop) {
  if (stop && stop->load(std::memory_order_relaxed)) throw Stopped();
}
inline void check_stop() { check_stop(current_stop()); }

}  // namespace graft
