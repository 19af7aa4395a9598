#include "graft/core/base/live_files.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace graft {

// A handler may come at any moment: it looks at places in use only, whose path no longer changes.
struct LivePlace {
  enum State { vacant, being_filled, in_use };
  std::atomic<int> state{vacant};
  std::atomic<pid_t> owner{0};  // a child after fork has the list of its parent
  char path[4096] = {};
};

namespace {

static_assert(std::atomic<int>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free);
constinit LivePlace g_live_places[32];

}  // namespace

LiveFile::LiveFile(const std::string& path) : path_(path), owner_(::getpid()) {
  if (path.size() >= sizeof LivePlace::path) return;
  for (LivePlace& place : g_live_places) {
    int expected = LivePlace::vacant;
    if (!place.state.compare_exchange_strong(expected, LivePlace::being_filled)) continue;
    std::copy_n(path.c_str(), path.size() + 1, place.path);
    place.owner = owner_;
    place.state = LivePlace::in_use;
    place_ = &place;
    return;
  }
}

LiveFile::~LiveFile() {
  if (place_) place_->state = LivePlace::vacant;
}

void LiveFile::remove() {
  if (owner_ == ::getpid() && ::unlink(path_.c_str()) != 0 && errno != ENOENT) place_ = nullptr;
}

void remove_live_files() noexcept {
  for (LivePlace& place : g_live_places)
    if (place.state == LivePlace::in_use && place.owner == ::getpid()) ::unlink(place.path);
}

}  // namespace graft
