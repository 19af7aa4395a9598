#include "graft/tools/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace graft::tools {
namespace {

std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // what a signal handler may touch

void set(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

void note(int) { g_interrupted = true; }

}  // namespace

InterruptGuard::InterruptGuard() {
  // SA_RESETHAND: the second signal meets the default action.
  for (int signal : {SIGINT, SIGTERM})
    set(signal, note, static_cast<int>(SA_RESETHAND) | SA_RESTART);
}

InterruptGuard::~InterruptGuard() {
  for (int signal : {SIGINT, SIGTERM}) set(signal, SIG_DFL, 0);
}

const std::atomic<bool>& InterruptGuard::flag() const { return g_interrupted; }

}  // namespace graft::tools
