// Where the command's words go: human text to stderr, results to stdout, files' faults to the exit
// code.
#pragma once
#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"
#include "graft/train/tasks/shown.h"

namespace graft::tools {

// One line to stderr, in its printable form.
void say_line(const std::string& line);
// The same of text that has lines of its own; whoever puts it together makes names printable.
void say_text(const std::string& text);
template <class... Parts>
void say(const Parts&... parts) {
  say_line(str(parts...));
}

// When the last of these was said; when the program began, if none was.
std::chrono::steady_clock::time_point last_said();

// To stdout, in its printable form but for line ends and tabs. Error(resource) when it cannot be
// written (a closed pipe, a full disk).
void result(const std::string& text);
void result(nlohmann::ordered_json document);  // indented, with a final newline

// Columns as wide as their widest cell, two blanks apart.
std::string table_of(const std::vector<std::vector<std::string>>& rows);

using train::fixed;
using train::thousands;
std::string duration(double seconds);  // "4.2 s", "3:07 min", "2:03 h"
std::string size_text(int64_t bytes);  // "1.1 MB"
bool stderr_is_terminal();

}  // namespace graft::tools
