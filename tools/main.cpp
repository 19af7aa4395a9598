// The graft command: parses, runs one verb, and turns every error into one line and an exit code,
// here and only here.
#include <CLI/CLI.hpp>
#include <new>

#include "graft/core/base/error.h"
#include "graft/tools/hdf5_reader.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"

namespace {

int report(int code, const std::string& message) {
  graft::tools::say("graft: ", graft::tools::printable(message));
  return code;
}

bool is_verb(const CLI::App& app, const std::string& name) {
  const auto verbs =
      app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; });
  return !verbs.empty();
}

int parse_and_run(int argc, char** argv) {
  CLI::App app(
      "graft: take a pretrained convolutional network, change its end, train it on your own "
      "images.\n"
      "Exit codes: 0 done; 1 a fault of ours; 2 usage; 3 bad input; 4 out of memory, disk or "
      "device; "
      "130 interrupted, state saved.");
  app.name("graft");
  app.set_version_flag("--version", "graft " GRAFT_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.option_defaults()->always_capture_default();
  graft::tools::Action action;
  using namespace graft::tools;
  for (auto* add : {add_finetune, add_pretrain, add_predict, add_evaluate, add_inspect, add_convert,
                    add_verify, add_features, add_data, add_run, add_bench, add_doctor})
    add(app, action);
  if (argc > 1 && argv[1][0] != '-' && !is_verb(app, argv[1]))
    return report(2, graft::str("there is no verb '", argv[1], "' (see graft --help)"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return app.exit(error);  // --help, --version
    const auto chosen = app.get_subcommands();
    return report(2, graft::str(error.what(), " (see graft ",
                                chosen.empty() ? "" : chosen[0]->get_name() + " ", "--help)"));
  }
  lend_hdf5_reader();
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const graft::Error& error) {
    return report(static_cast<int>(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return report(4, "out of memory");
  } catch (const std::exception& error) {
    return report(1, graft::str("graft bug: ", error.what()));
  }
}
