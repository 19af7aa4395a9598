#include "graft/train/tasks/shown.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>

#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"

namespace graft::train {

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : (value > 0 ? "inf" : "-inf");
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string thousands(int64_t value) {
  std::string digits = std::to_string(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string escape(const std::string& text, std::string_view kept) {
  std::string out;
  for (char c : printable(text, kept)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string shortest(float value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

std::string shortest(double value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

std::vector<std::string> told_apart(std::vector<std::string> names) {
  std::map<std::string, int> times;
  for (const std::string& name : names) ++times[name];
  for (size_t i = 0; i < names.size(); ++i)
    if (times[names[i]] > 1) names[i] += str(" (", i, ")");
  return names;
}

std::string percent(double share) {
  return std::isfinite(share) ? fixed(share * 100, 1) + " %" : "-";
}

}  // namespace graft::train
