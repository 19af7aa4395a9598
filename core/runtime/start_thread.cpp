#include "graft/core/runtime/start_thread.h"

#include <mutex>
#include <utility>

namespace graft {
namespace {

struct ShortageState {
  std::mutex mutex;
  ThreadShortageListener listener;
};

ShortageState& shortage_state() {
  static ShortageState* instance = new ShortageState;  // never destroyed: threads may outlive main
  return *instance;
}

}  // namespace

void set_thread_shortage_listener(ThreadShortageListener listener) {
  ShortageState& s = shortage_state();
  const std::lock_guard lock(s.mutex);
  s.listener = std::move(listener);
}

void report_thread_shortage(const char* kind, int wanted, int started) noexcept {
  try {
    ShortageState& s = shortage_state();
    const std::lock_guard lock(s.mutex);
    if (s.listener) s.listener(kind, wanted, started);
  } catch (...) {  // no memory for the words: the work matters more
  }
}

}  // namespace graft
