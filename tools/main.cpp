// The graft command: parses, runs one verb, and turns every error into one line and an exit code,
// here and only here.
#include <CLI/CLI.hpp>
#include <new>

#include "graft/core/base/error.h"
#include "graft/core/base/live_files.h"
#include "graft/core/runtime/start_thread.h"
#include "graft/tools/command_line.h"
#include "graft/tools/descriptors.h"
#include "graft/tools/hdf5_reader.h"
#include "graft/tools/interrupt.h"
#include "graft/tools/out_of_memory.h"
#include "graft/tools/output.h"

namespace {

int report(int code, const std::string& message) {
  graft::tools::say("graft: ", message);
  return code;
}

void say_thread_shortage(const char* kind, int wanted, int started) {
  graft::tools::say("note: only ", started, " of ", wanted, " ", kind,
                    " threads could be started (a limit on processes or memory): slower, with the "
                    "same results");
}

int parse_and_run(int argc, char** argv) {
  using namespace graft::tools;
  CLI::App app;
  Action action;
  add_verbs(app, action, argc > 1 ? argv[1] : "");
  const ReadLine line = read_command_line(app, argc, argv);
  if (!line.refusal.empty()) return report(line.code, line.refusal);
  if (line.code >= 0) return line.code;
  graft::set_thread_shortage_listener(say_thread_shortage);
  lend_hdf5_reader();
  return action();
}

int run_and_report(int argc, char** argv) {
  try {
    try {
      return parse_and_run(argc, argv);
    } catch (const graft::Error& error) {
      return report(static_cast<int>(error.code()), error.what());
    } catch (const std::bad_alloc&) {
      return graft::tools::say_out_of_memory();
    } catch (const std::exception& error) {
      return report(1, graft::str("graft bug: ", error.what()));
    }
  } catch (const std::bad_alloc&) {  // not even for the words
    return graft::tools::say_out_of_memory();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (!graft::tools::reserve_standard_descriptors()) return 4;
  graft::tools::handle_signals();
  const int code = run_and_report(argc, argv);
  graft::remove_live_files();  // what could not be removed before
  return code;
}
