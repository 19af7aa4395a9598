// The flags that say what samples are: --input, and how sounds are read.
#pragma once
#include <string>

namespace CLI {
class App;
}

namespace graft::tools {

struct InputFlags {
  std::string input = "auto", settings{};
};

// --input alone: of a verb whose model says how its samples are read.
void add_input_flag(CLI::App& verb, InputFlags& flags);
// With --sound.
void add_input_flags(CLI::App& verb, InputFlags& flags);

}  // namespace graft::tools
