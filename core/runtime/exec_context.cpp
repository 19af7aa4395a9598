#include "graft/core/runtime/exec_context.h"

#include <sched.h>

#include <charconv>

#include "graft/core/base/environment.h"
#include "graft/core/base/error.h"

namespace graft {
namespace {

thread_local ExecContext* t_current = nullptr;

int default_threads() {
  const std::string wanted = environment("GRAFT_THREADS");
  if (!wanted.empty()) {
    int threads = 0;
    const auto parsed = std::from_chars(wanted.data(), wanted.data() + wanted.size(), threads);
    GRAFT_CHECK(parsed.ec == std::errc() && parsed.ptr == wanted.data() + wanted.size() &&
                    threads >= 1 && threads <= 1024,
                "GRAFT_THREADS=", wanted, ": expected a number from 1 to 1024");
    return threads;
  }
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    return std::max(1, CPU_COUNT(&allowed));
  return 1;
}

}  // namespace

ExecContext::ExecContext(int threads) : ExecContext(threads, default_instruction_set()) {}
ExecContext::ExecContext(int threads, InstructionSet instruction_set)
    : pool_(std::make_unique<ThreadPool>(threads > 0 ? threads : default_threads())),
      instruction_set_(instruction_set) {}

void ExecContext::set_threads(int threads) {
  GRAFT_CHECK(threads >= 0 && threads <= 1024, "set_threads: ", threads,
              " threads, expected 1 to 1024, or 0 for as many as at first");
  pool_ = std::make_unique<ThreadPool>(threads > 0 ? threads : default_threads());
}

void set_threads(int threads) { current_context().set_threads(threads); }

ExecContext& current_context() {
  if (t_current) return *t_current;
  static ExecContext* process_default =
      new ExecContext;  // never destroyed: its threads may outlive main
  return *process_default;
}

ScopedExecContext::ScopedExecContext(ExecContext& context) : previous_(t_current) {
  t_current = &context;
}
ScopedExecContext::~ScopedExecContext() { t_current = previous_; }

}  // namespace graft
