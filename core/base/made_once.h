// MadeOnce: a value that the first thread to ask for it makes and that never changes afterwards.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>

#include "graft/core/base/fork.h"

namespace graft {

// Any number of threads may ask; those that come while it is made wait for it. In a forked child a
// value that was being made is made anew.
template <class T>
class MadeOnce {
 public:
  MadeOnce() = default;
  ~MadeOnce() { delete made_.load(std::memory_order_relaxed); }
  MadeOnce(const MadeOnce&) = delete;
  MadeOnce& operator=(const MadeOnce&) = delete;

  // `make` returns a std::unique_ptr<T>.
  template <class Make>
  const T& get(Make&& make) const {
    if (const T* made = made_.load(std::memory_order_acquire)) return *made;
    const std::lock_guard turn(making_);
    if (const T* made = made_.load(std::memory_order_acquire)) return *made;
    const T* made = make().release();
    made_.store(made, std::memory_order_release);
    return *made;
  }

 private:
  mutable std::atomic<const T*> made_{nullptr};
  mutable TurnLock making_;
};

}  // namespace graft
