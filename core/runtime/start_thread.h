// Starting threads where the system may refuse one (a limit on processes or memory): work goes on
// with fewer, and whoever wants to know is told.
#pragma once
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "graft/core/base/export.h"

namespace graft {

// "compute" or "loader" threads: how many were wanted, how many there are.
using ThreadShortageListener = std::function<void(const char* kind, int wanted, int started)>;

// Replaces the listener (empty by default: nobody is told). Thread-safe.
GRAFT_API void set_thread_shortage_listener(ThreadShortageListener listener);
// Never throws; called by whoever starts threads.
GRAFT_API void report_thread_shortage(const char* kind, int wanted, int started) noexcept;

// Adds a thread that runs `body`, which lets no exception out. False when the system has none.
template <class Body>
bool start_thread(std::vector<std::thread>& threads, Body body) {
  try {
    threads.emplace_back(std::move(body));
    return true;
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  }
  return false;
}

}  // namespace graft
