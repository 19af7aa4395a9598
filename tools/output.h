// Where the command's words go: human text to stderr, results to stdout, files' faults to the exit
// code.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "graft/core/base/text.h"

namespace graft::tools {

// One line to stderr; its control characters become '?'.
void say_line(const std::string& line);
template <class... Parts>
void say(const Parts&... parts) {
  say_line(str(parts...));
}

// Names out of files may hold line ends and commands to the terminal: control characters, of ASCII
// and Unicode's C1, become '?'.
std::string printable(std::string text, bool keep_lines = false);

// To stdout. Error(resource) when it cannot be written (a closed pipe, a full disk).
void result(const std::string& text);
void result(const nlohmann::ordered_json& document);  // indented, with a final newline

// "0.8931" and the like: `digits` after the point, the same in every locale.
std::string fixed(double value, int digits);
std::string thousands(int64_t value);  // 25,557,032
std::string duration(double seconds);  // "4.2 s", "3:07 min", "2:03 h"
std::string size_text(int64_t bytes);  // "1.1 MB"
bool stderr_is_terminal();

}  // namespace graft::tools
