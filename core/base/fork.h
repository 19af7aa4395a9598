// fork() while other threads of the process are inside the library: locks that leave the child
// usable.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "graft/core/base/export.h"

namespace graft {

// How many forks lie between this process and the one that loaded the library. An object that
// remembers it knows whether the threads it started are still here.
GRAFT_API uint32_t fork_generation();

// A mutex that fork() waits for, so that the child finds what it guards whole, and free. Held for
// moments only, and never while another lock is waited for.
class GRAFT_API ForkSafeMutex {
 public:
  ForkSafeMutex();
  ~ForkSafeMutex();
  ForkSafeMutex(const ForkSafeMutex&) = delete;
  ForkSafeMutex& operator=(const ForkSafeMutex&) = delete;
  void lock();
  void unlock();

 private:
  friend class ForkSafeMutexes;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A lock that is free in a forked child, whoever held it in the parent: for work that may take long
// and of which nothing is seen before it is done.
class GRAFT_API TurnLock {
 public:
  TurnLock() = default;
  TurnLock(const TurnLock&) = delete;
  TurnLock& operator=(const TurnLock&) = delete;
  bool try_lock();
  void lock();
  void unlock();

 private:
  std::atomic<uint32_t> holder_{0};  // 0: free; else 1 + its process's fork_generation()
};

}  // namespace graft
