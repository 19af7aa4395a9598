#include "graft/tools/input_flags.h"

#include <CLI/CLI.hpp>

#include "graft/train/inputs/table.h"

namespace graft::tools {

void add_input_flag(CLI::App& verb, InputFlags& flags) {
  std::vector<std::string> choices = train::input_names();
  choices.insert(choices.begin(), "auto");
  verb.add_option(
          "--input", flags.input,
          "What samples are: image, audio or text; auto: what the model's card or most of the "
          "data's files say, which is said (texts are asked for by name)")
      ->check(CLI::IsMember(choices))
      ->type_name("KIND");
}

void add_input_flags(CLI::App& verb, InputFlags& flags) {
  add_input_flag(verb, flags);
  verb.add_option("--sound", flags.settings,
                  "Of sounds: how they become the network's input, such as "
                  "rate=16000,mels=64,frames=96 (docs/sound.md lists all)")
      ->type_name("KEY=VALUE,...");
}

}  // namespace graft::tools
