#include "graft/tools/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace graft::tools {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void set(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

void note(int) { g_interrupted = 1; }

}  // namespace

InterruptGuard::InterruptGuard() {
  // SA_RESETHAND: the second signal meets the default action.
  for (int signal : {SIGINT, SIGTERM}) set(signal, note, static_cast<int>(SA_RESETHAND) | SA_RESTART);
}

InterruptGuard::~InterruptGuard() {
  for (int signal : {SIGINT, SIGTERM}) set(signal, SIG_DFL, 0);
}

bool interrupted() { return g_interrupted != 0; }

}  // namespace graft::tools
