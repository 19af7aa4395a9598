// Code points of UTF-8: reading them, what they are, their small letters and canonical parts.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "graft/core/base/export.h"

namespace graft::io {

// What a code point is by Unicode's general category: Z and the blanks among C; Cc, Cf, Co and Cs;
// Mn; P; S; the rest: letters, digits, spacing marks and what is not assigned.
enum class CodeKind : uint8_t { letter, space, control, mark, punctuation, symbol };
GRAFT_API CodeKind kind_of(uint32_t code);

inline constexpr uint32_t kReplacement = 0xfffd;  // what bytes that are no UTF-8 are read as

// The code point at `at`, which moves behind it. Overlong forms, surrogates, numbers beyond
// U+10FFFF and cut sequences are no UTF-8: their longest valid beginning, at least one byte, is
// read as one kReplacement (Unicode, table 3-8, as Python's errors="replace").
GRAFT_API uint32_t next_code(std::string_view text, size_t& at);
GRAFT_API void append_utf8(std::string& text, uint32_t code);

// Of one code point one: capitals whose small form has several stay.
GRAFT_API uint32_t lower_code(uint32_t code);
// Han characters, which stand for words without blanks between them (the blocks that BERT's
// tokeniser names).
GRAFT_API bool is_han(uint32_t code);
// Appends what a code point is composed of, canonically, down to the last part (NFD without putting
// marks in order).
GRAFT_API void append_parts(std::u32string& out, uint32_t code);

// A file's bytes as text: without a byte-order mark. bad_input naming it for UTF-16 and UTF-32.
GRAFT_API std::string_view text_of(std::string_view bytes, const std::string& name);
// How many times next_code() reads bytes that are no UTF-8.
GRAFT_API int64_t count_broken(std::string_view text);

}  // namespace graft::io
