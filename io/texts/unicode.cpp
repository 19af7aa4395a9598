#include "graft/io/texts/unicode.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "graft/core/base/error.h"
#include "graft/io/texts/unicode_forms.h"
#include "graft/io/texts/unicode_kinds.h"

namespace graft::io {
namespace {

// The last range that begins at or before the code; null where there is none.
template <class Range, size_t n>
const Range* range_at(const Range (&ranges)[n], uint32_t code) {
  const auto* behind =
      std::upper_bound(std::begin(ranges), std::end(ranges), code,
                       [](uint32_t c, const Range& range) { return c < range.first; });
  return behind == std::begin(ranges) ? nullptr : behind - 1;
}

CodeKind looked_up_kind(uint32_t code) {
  const KindRange* range = range_at(kKindRanges, code);
  return range && code <= range->last ? static_cast<CodeKind>(range->kind) : CodeKind::letter;
}

// Which second bytes may follow a first one of two to four (Unicode, table 3-7).
struct SecondByte {
  unsigned char low = 0x80, high = 0xbf;
};
SecondByte second_after(unsigned char first) {
  switch (first) {
    case 0xe0: return {0xa0, 0xbf};
    case 0xed: return {0x80, 0x9f};
    case 0xf0: return {0x90, 0xbf};
    case 0xf4: return {0x80, 0x8f};
    default: return {};
  }
}

}  // namespace

CodeKind kind_of(uint32_t code) {
  static const std::array<CodeKind, 128> ascii = [] {
    std::array<CodeKind, 128> kinds{};
    for (uint32_t c = 0; c < 128; ++c) kinds[c] = looked_up_kind(c);
    return kinds;
  }();
  return code < 128 ? ascii[code] : looked_up_kind(code);
}

uint32_t next_code(std::string_view text, size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  if (first < 0x80) return first;
  if (first < 0xc2 || first > 0xf4) return kReplacement;
  const int more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  uint32_t code = first & (0x3fu >> more);
  SecondByte allowed = second_after(first);
  for (int i = 0; i < more; ++i, allowed = {}) {
    if (at >= text.size()) return kReplacement;
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < allowed.low || byte > allowed.high) return kReplacement;
    code = code << 6 | (byte & 0x3fu);
    ++at;
  }
  return code;
}

void append_utf8(std::string& text, uint32_t code) {
  const auto byte = [&](uint32_t value) { text += static_cast<char>(value); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      byte(0xe0 | code >> 12);
    } else {
      byte(0xf0 | code >> 18);
      byte(0x80 | (code >> 12 & 0x3f));
    }
    byte(0x80 | (code >> 6 & 0x3f));
  }
  byte(0x80 | (code & 0x3f));
}

uint32_t lower_code(uint32_t code) {
  if (code < 128) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  const LowerRange* range = range_at(kLowerRanges, code);
  if (range && code <= range->last && (code - range->first) % range->step == 0)
    return static_cast<uint32_t>(static_cast<int32_t>(code) + range->difference);
  return code;
}

bool is_han(uint32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b820 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

void append_parts(std::u32string& out, uint32_t code) {
  constexpr uint32_t kSyllables = 0xac00, kCount = 11172;  // Unicode, 3.12
  if (code >= kSyllables && code < kSyllables + kCount) {
    const uint32_t index = code - kSyllables;
    out += static_cast<char32_t>(0x1100 + index / 588);
    out += static_cast<char32_t>(0x1161 + index % 588 / 28);
    if (index % 28 > 0) out += static_cast<char32_t>(0x11a7 + index % 28);
    return;
  }
  const auto* found =
      std::lower_bound(std::begin(kCanonicalParts), std::end(kCanonicalParts), code,
                       [](const CanonicalParts& parts, uint32_t c) { return parts.code < c; });
  if (code < 128 || found == std::end(kCanonicalParts) || found->code != code) {
    out += static_cast<char32_t>(code);
    return;
  }
  append_parts(out, found->first);  // the table holds no circles
  if (found->second != 0) append_parts(out, found->second);
}

std::string_view text_of(std::string_view bytes, const std::string& name) {
  GRAFT_CHECK(!bytes.starts_with("\xff\xfe") && !bytes.starts_with("\xfe\xff") &&
                  !bytes.starts_with(std::string_view("\0\0\xfe\xff", 4)),
              name, ": is text of UTF-16 or UTF-32; graft reads UTF-8");
  return bytes.starts_with("\xef\xbb\xbf") ? bytes.substr(3) : bytes;
}

int64_t count_broken(std::string_view text) {
  int64_t broken = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t before = at;
    // U+FFFD itself has three bytes that are UTF-8.
    broken += next_code(text, at) == kReplacement && text.substr(before, 3) != "\xef\xbf\xbd";
  }
  return broken;
}

}  // namespace graft::io
