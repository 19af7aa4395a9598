#include "graft/core/base/fork.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace graft {
namespace {

std::atomic<uint32_t> g_fork_generation{0};

}  // namespace

struct ForkSafeMutex::Impl {
  std::mutex mutex;
};

// All of them, and what fork() does with them.
class ForkSafeMutexes {
 public:
  static ForkSafeMutexes& all() {
    static ForkSafeMutexes* instance =
        new ForkSafeMutexes;  // never destroyed: a fork may come late
    return *instance;
  }

  void add(ForkSafeMutex* mutex) {
    const std::lock_guard lock(list_mutex_);
    list_.push_back(mutex);
  }
  void remove(ForkSafeMutex* mutex) {
    const std::lock_guard lock(list_mutex_);
    std::erase(list_, mutex);
  }

 private:
  ForkSafeMutexes() { ::pthread_atfork(before, in_parent, in_child); }

  // The order does not matter: whoever holds one waits for no other.
  static void before() {
    all().list_mutex_.lock();
    for (ForkSafeMutex* mutex : all().list_) mutex->lock();
  }
  static void in_parent() {
    for (ForkSafeMutex* mutex : all().list_) mutex->unlock();
    all().list_mutex_.unlock();
  }
  static void in_child() {
    g_fork_generation.fetch_add(1);
    in_parent();
  }

  std::mutex list_mutex_;
  std::vector<ForkSafeMutex*> list_;
};

uint32_t fork_generation() {
  ForkSafeMutexes::all();  // from the first question on forks are counted
  return g_fork_generation.load(std::memory_order_relaxed);
}

ForkSafeMutex::ForkSafeMutex() : impl_(std::make_unique<Impl>()) {
  ForkSafeMutexes::all().add(this);
}
ForkSafeMutex::~ForkSafeMutex() { ForkSafeMutexes::all().remove(this); }
void ForkSafeMutex::lock() { impl_->mutex.lock(); }
void ForkSafeMutex::unlock() { impl_->mutex.unlock(); }

bool TurnLock::try_lock() {
  const uint32_t mine = 1 + fork_generation();
  uint32_t seen = holder_.load(std::memory_order_relaxed);
  return seen != mine && holder_.compare_exchange_strong(seen, mine, std::memory_order_acquire);
}

void TurnLock::lock() {
  const uint32_t mine = 1 + fork_generation();
  while (!try_lock()) holder_.wait(mine);
}

void TurnLock::unlock() {
  holder_.store(0, std::memory_order_release);
  holder_.notify_one();
}

}  // namespace graft
