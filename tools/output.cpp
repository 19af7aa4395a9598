#include "graft/tools/output.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"

namespace graft::tools {

namespace {

using SteadyClock = std::chrono::steady_clock;
std::atomic<SteadyClock::rep> g_last_said{SteadyClock::now().time_since_epoch().count()};

void write_stderr(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  g_last_said = SteadyClock::now().time_since_epoch().count();
}

// Strings that are no UTF-8 in their printable form, so that they stay apart; JSON knows no bytes.
void make_utf8(nlohmann::ordered_json& value) {
  if (value.is_string()) {
    try {
      (void)value.dump();
    } catch (const nlohmann::json::exception&) {
      value = printable(value.get_ref<const std::string&>());
    }
  } else if (value.is_structured()) {
    for (auto& item : value) make_utf8(item);
  }
}

}  // namespace

void say_line(const std::string& line) { write_stderr(printable(line) + "\n"); }
void say_text(const std::string& text) { write_stderr(printable(text, "\n") + "\n"); }

std::chrono::steady_clock::time_point last_said() {
  return SteadyClock::time_point(SteadyClock::duration(g_last_said.load()));
}

void result(const std::string& text) {
  const std::string shown = printable(text, "\n\t");
  if (std::fwrite(shown.data(), 1, shown.size(), stdout) != shown.size() ||
      std::fflush(stdout) != 0)
    fail(ErrorCode::resource, "cannot write to standard output");
}

void result(nlohmann::ordered_json document) {
  make_utf8(document);
  result(document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

std::string table_of(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t c = 0; c < row.size(); ++c) {
      if (c == widths.size()) widths.push_back(0);
      widths[c] = std::max(widths[c], row[c].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c)
      line += row[c] + std::string(c + 1 < row.size() ? widths[c] - row[c].size() + 2 : 0, ' ');
    text += line + "\n";
  }
  return text;
}

std::string duration(double seconds) {
  if (seconds < 60) return fixed(seconds, 1) + " s";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  const auto two = [](int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  if (whole < 3600) return str(whole / 60, ":", two(whole % 60), " min");
  return str(whole / 3600, ":", two(whole / 60 % 60), " h");
}

std::string size_text(int64_t bytes) {
  if (bytes < 1000) return str(bytes, " B");
  const char* units[] = {"kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1000;
  int unit = 0;
  for (; value >= 999.5 && unit < 3; ++unit) value /= 1000;
  return fixed(value, value < 10 ? 1 : 0) + " " + units[unit];
}

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

}  // namespace graft::tools
