#include "graft/io/datasets/class_names.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "graft/core/base/text.h"
#include "graft/io/datasets/compositions.h"

namespace graft::io {
namespace {

// The code points of UTF-8 text; nothing when it is not UTF-8.
std::optional<std::vector<uint32_t>> code_points(const std::string& text) {
  std::vector<uint32_t> points;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : 4;
    if (length == 4 && first >> 3 != 30) return {};
    if (i + length > text.size()) return {};
    uint32_t point = length == 1 ? first : first & (0x7fu >> length);
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 2) return {};
      point = point << 6 | (next & 0x3f);
    }
    points.push_back(point);
    i += length;
  }
  return points;
}

void append_utf8(std::string& out, uint32_t point) {
  const auto byte = [&](uint32_t value) { out += static_cast<char>(value); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) {
    byte(0xc0 | point >> 6);
  } else if (point < 0x10000) {
    byte(0xe0 | point >> 12);
    byte(0x80 | (point >> 6 & 0x3f));
  } else {
    byte(0xf0 | point >> 18);
    byte(0x80 | (point >> 12 & 0x3f));
    byte(0x80 | (point >> 6 & 0x3f));
  }
  byte(0x80 | (point & 0x3f));
}

// Source: The Unicode Standard, 3.12: Hangul syllables are computed.
uint32_t composed_pair(uint32_t letter, uint32_t mark) {
  if (letter >= 0x1100 && letter < 0x1113 && mark >= 0x1161 && mark < 0x1176)
    return 0xac00 + ((letter - 0x1100) * 21 + (mark - 0x1161)) * 28;
  const bool is_open_syllable = letter >= 0xac00 && letter < 0xd7a4 && (letter - 0xac00) % 28 == 0;
  if (is_open_syllable && mark > 0x11a7 && mark < 0x11c3) return letter + (mark - 0x11a7);
  const std::span table(kCompositions);
  const auto at = std::lower_bound(table.begin(), table.end(), std::pair(letter, mark),
                                   [](const Composition& row, const auto& wanted) {
                                     return std::pair(row.letter, row.mark) < wanted;
                                   });
  return at != table.end() && at->letter == letter && at->mark == mark ? at->composed : 0;
}

}  // namespace

std::string composed(const std::string& name) {
  const auto points = code_points(name);
  if (!points) return name;
  std::vector<uint32_t> result;
  for (const uint32_t point : *points) {
    const uint32_t both = result.empty() ? 0 : composed_pair(result.back(), point);
    if (both)
      result.back() = both;
    else
      result.push_back(point);
  }
  std::string text;
  for (const uint32_t point : result) append_utf8(text, point);
  return text;
}

std::vector<int64_t> matched_classes(const std::vector<std::string>& names,
                                     const std::vector<std::string>& known) {
  std::map<std::string, int64_t> places;
  for (size_t i = 0; i < known.size(); ++i)
    places.emplace(composed(known[i]), static_cast<int64_t>(i));
  std::vector<int64_t> result;
  for (const std::string& name : names) {
    const auto found = places.find(composed(name));
    result.push_back(found == places.end() ? -1 : found->second);
  }
  return result;
}

std::string short_list(const std::vector<std::string>& names, size_t most) {
  if (names.size() <= most) return join(names);
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(most));
  return str(join(first), " ... (", names.size(), " in all)");
}

}  // namespace graft::io
