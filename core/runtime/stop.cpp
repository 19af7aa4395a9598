#include "graft/core/runtime/stop.h"

#include <utility>

namespace graft {
namespace {

thread_local const std::atomic<bool>* t_stop = nullptr;

}  // namespace

ScopedStop::ScopedStop(const std::atomic<bool>* stop) : outer_(std::exchange(t_stop, stop)) {}
ScopedStop::~ScopedStop() { t_stop = outer_; }

const std::atomic<bool>* current_stop() { return t_stop; }

}  // namespace graft
