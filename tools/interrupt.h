// What the command does about signals: it ends with a documented code and leaves nothing
// half-written; a training run is asked to stop, so that it can say where it stands.
#pragma once
#include <atomic>

namespace graft::tools {

// For the whole process, once, at its start. SIGINT, SIGTERM, SIGHUP (unless it is ignored, as
// under nohup) and SIGXCPU: unfinished files are removed and the process ends with
// exit_interrupted. SIGPIPE and SIGXFSZ are ignored: the write that they are about fails, and is
// reported.
void handle_signals();

// While it lives, the first of those signals only sets a flag; the next one ends the process as
// above.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  const std::atomic<bool>& flag() const;
};

}  // namespace graft::tools
