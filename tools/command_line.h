// The command's grammar: its verbs, their flags, and what is said of a line that does not fit.
#pragma once
#include <string>
#include <string_view>

#include "graft/tools/verbs.h"

namespace graft::tools {

// Fills `app` with all verbs, or only with the one that is named, where it is one: every start
// would pay for the others' flags. The chosen one sets `action`.
void add_verbs(CLI::App& app, Action& action, std::string_view named = "");

// What is to be done after a line was read.
struct ReadLine {
  int code = -1;          // the exit code when all is said already; -1: `action` is to be run
  std::string refusal{};  // one sentence; empty: there is none
};

// Reads a command line. Help and version go to stdout.
ReadLine read_command_line(CLI::App& app, int argc, const char* const* argv);
// As it is where a shell takes it so; else in quotes.
std::string shell_word(const std::string& word);
// The line that was read last, as a shell takes it: "graft finetune --data 'my photos'".
const std::string& command_text();

}  // namespace graft::tools
