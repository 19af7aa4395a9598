#include "graft/tools/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <initializer_list>

#include "graft/core/base/live_files.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

std::atomic<bool> g_asked{false};  // somebody asks the flag
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // what a signal handler may touch

void set(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void stop(int signal) {
  // The system repeats SIGXCPU every second.
  if (g_asked && (!g_interrupted.exchange(true) || signal == SIGXCPU)) return;
  remove_live_files();
  constexpr char words[] = "graft: interrupted\n";
  if (::write(STDERR_FILENO, words, sizeof words - 1) < 0) {
    // nobody listens
  }
  ::_exit(exit_interrupted);
}

}  // namespace

void handle_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGXCPU}) set(signal, stop);
  if (!is_ignored(SIGHUP)) set(SIGHUP, stop);
  for (const int signal : {SIGPIPE, SIGXFSZ}) set(signal, SIG_IGN);
}

InterruptGuard::InterruptGuard() { g_asked = true; }
InterruptGuard::~InterruptGuard() { g_asked = false; }

const std::atomic<bool>& InterruptGuard::flag() const { return g_interrupted; }

}  // namespace graft::tools
