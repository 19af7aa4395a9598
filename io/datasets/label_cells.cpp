#include "graft/io/datasets/label_cells.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

namespace graft::io {
namespace {

std::string small_letters(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string without_blanks_around(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::optional<bool> yes_or_no(const std::string& cell) {
  const std::string word = small_letters(cell);
  if (word == "1" || word == "1.0" || word == "true") return true;
  if (word == "0" || word == "0.0" || word == "false") return false;
  return std::nullopt;
}

std::optional<double> number_in(const std::string& cell) {
  const char* begin = cell.data();
  const char* end = begin + cell.size();
  if (begin != end && *begin == '+') ++begin;
  double value = 0;
  const auto read = std::from_chars(begin, end, value);
  if (read.ec != std::errc() || read.ptr != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<std::string> parts_of_cell(const std::string& cell, char mark) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= cell.size();) {
    const size_t end = std::min(cell.find(mark, begin), cell.size());
    std::string part = without_blanks_around(cell.substr(begin, end - begin));
    if (!part.empty()) parts.push_back(std::move(part));
    begin = end + 1;
  }
  return parts;
}

bool look_joined(const std::set<std::string>& cells, char mark) {
  std::map<std::string, std::set<std::string>> cells_of;
  size_t several = 0;
  for (const std::string& cell : cells) {
    const std::vector<std::string> parts = parts_of_cell(cell, mark);
    for (const std::string& part : parts) cells_of[part].insert(cell);
    several += parts.size() > 1;
  }
  const auto shared = std::count_if(cells_of.begin(), cells_of.end(),
                                    [](const auto& part) { return part.second.size() > 1; });
  return several >= 2 && shared >= 2;
}

char joining_mark(const std::set<std::string>& cells) {
  const auto holds_bar = [](const std::string& cell) {
    return cell.find('|') != std::string::npos;
  };
  if (std::any_of(cells.begin(), cells.end(), holds_bar)) return '|';
  for (const char mark : {';', ',', ' '})
    if (look_joined(cells, mark)) return mark;
  return '|';
}

}  // namespace graft::io
