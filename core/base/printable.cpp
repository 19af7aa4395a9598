#include "graft/core/base/printable.h"

#include <cstdint>

namespace graft {
namespace {

struct Decoded {
  uint32_t point = 0;
  size_t bytes = 0;  // 0: no UTF-8 starts here
};

// The shortest forms only, no surrogates (Unicode 15, table 3-7).
Decoded first_character(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {};
  uint32_t point = first & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {};
    point = point << 6 | (at(i) & 0x3fu);
  }
  constexpr uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < least[bytes] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return {};
  return {point, bytes};
}

bool is_hidden(uint32_t p) {
  return (p >= 0x7f && p < 0xa0) || p == 0x61c || p == 0x200e || p == 0x200f ||
         (p >= 0x2028 && p <= 0x202e) || (p >= 0x2066 && p <= 0x2069);
}

std::string hex_digits(uint32_t value, int digits) {
  std::string text;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    text += "0123456789abcdef"[(value >> shift) & 15];
  return text;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = first_character(text).bytes;
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string printable(std::string_view text, std::string_view kept) {
  std::string out;
  while (!text.empty()) {
    const Decoded found = first_character(text);
    const size_t bytes = found.bytes == 0 ? 1 : found.bytes;
    const auto first = static_cast<unsigned char>(text[0]);
    if (found.bytes == 0 || (first < ' ' && kept.find(text[0]) == std::string_view::npos))
      out += "\\x" + hex_digits(first, 2);
    else if (is_hidden(found.point))
      out += "\\u" + hex_digits(found.point, 4);
    else
      out += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace graft
