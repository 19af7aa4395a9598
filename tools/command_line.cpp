#include "graft/tools/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/tools/flag_values.h"

namespace graft::tools {
namespace {

constexpr int kUsage = static_cast<int>(ErrorCode::usage);

std::string g_command_text;

bool is_verb(const CLI::App& app, const std::string& name) {
  const auto verbs =
      app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; });
  return !verbs.empty();
}

}  // namespace

std::string shell_word(const std::string& word) {
  const bool is_plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-+=./,:@%").find(c) != std::string_view::npos;
  });
  if (is_plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

void add_verbs(CLI::App& app, Action& action, std::string_view named) {
  app.description(
      "graft: take a pretrained convolutional network, change its end, train it on your own "
      "images.\n"
      "Exit codes: 0 done; 1 internal error; 2 usage; 3 bad input; 4 out of memory, disk or "
      "device; "
      "130 interrupted, state saved.");
  app.name("graft");
  app.set_version_flag("--version", "graft " GRAFT_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.option_defaults()->always_capture_default();
  constexpr std::pair<std::string_view, void (*)(CLI::App&, Action&)> verbs[] = {
      {"finetune", add_finetune}, {"pretrain", add_pretrain}, {"lr", add_lr},
      {"predict", add_predict},   {"track", add_track},       {"evaluate", add_evaluate},
      {"explain", add_explain},   {"inspect", add_inspect},   {"convert", add_convert},
      {"verify", add_verify},     {"features", add_features}, {"advise", add_advise},
      {"average", add_average},   {"data", add_data},         {"run", add_run},
      {"bench", add_bench},       {"compare", add_compare},   {"doctor", add_doctor}};
  const bool is_known = std::any_of(std::begin(verbs), std::end(verbs),
                                    [&](const auto& verb) { return verb.first == named; });
  for (const auto& [name, add] : verbs)
    if (!is_known || name == named) add(app, action);
  refuse_blank_values(app);
}

ReadLine read_command_line(CLI::App& app, int argc, const char* const* argv) {
  g_command_text = "graft";
  for (int i = 1; i < argc; ++i) g_command_text += " " + shell_word(argv[i]);
  if (argc > 1 && argv[1][0] != '-' && !is_verb(app, argv[1]))
    return {kUsage, str("there is no verb '", printable(argv[1]), "' (see graft --help)")};
  try {
    app.parse(argc, argv);
    return {};
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return {app.exit(error), ""};  // --help, --version
    const auto chosen = app.get_subcommands();
    return {kUsage, str(printable(error.what()), " (see graft ",
                        chosen.empty() ? "" : chosen[0]->get_name() + " ", "--help)")};
  }
}

const std::string& command_text() { return g_command_text; }

}  // namespace graft::tools
