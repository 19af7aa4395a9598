#include "graft/io/texts/words.h"

#include <array>

#include "graft/io/texts/unicode.h"

namespace graft::io {
namespace {

constexpr int kMostCodes = 100;  // of a word

// What a code point is to a text of words.
enum class Role { part, alone, separator };

Role role_of(uint32_t code) {
  if (code == '\'' || code == '`') return Role::part;
  if (code == kReplacement) return Role::separator;
  switch (kind_of(code)) {
    case CodeKind::letter: return is_han(code) ? Role::alone : Role::part;
    case CodeKind::mark: return Role::part;
    case CodeKind::symbol: return code < 128 ? Role::separator : Role::alone;
    default: break;
  }
  for (const char32_t mark : U"(),!?.\uff08\uff09\uff0c\uff01\uff1f\u3002\u3001\u2026")
    if (mark != 0 && code == mark) return Role::alone;
  return Role::separator;
}

uint32_t plain_apostrophe(uint32_t code) {
  return code == 0x2018 || code == 0x2019 || code == 0x02bc ? '\'' : code;
}

// The length of a contraction's end that begins here; 0: there is none.
size_t contraction_at(std::string_view word) {
  static constexpr std::array<std::string_view, 6> kEnds{"'s", "'ve", "n't", "'re", "'d", "'ll"};
  for (const std::string_view end : kEnds)
    if (word.starts_with(end)) return end.size();
  return 0;
}

class Splitter {
 public:
  Splitter(std::string_view text, size_t most) : text_(text), most_(most) {}

  Words split() {
    for (size_t at = 0; at < text_.size() && !found_.is_cut;) {
      const size_t begin = at;
      const uint32_t code = plain_apostrophe(next_code(text_, at));
      const Role role = role_of(code);
      // A mark without a letter (an emoji's variant) is none.
      const bool is_lost = run_.empty() && kind_of(code) == CodeKind::mark;
      if (role == Role::part && !is_lost) {
        extend(code, begin, at);
        continue;
      }
      end_run();
      if (role != Role::alone) continue;
      std::string symbol;
      append_utf8(symbol, lower_code(code));
      add({std::move(symbol), begin, at});
    }
    end_run();
    return std::move(found_);
  }

 private:
  void extend(uint32_t code, size_t begin, size_t end) {
    end_ = end;
    if (codes_++ >= kMostCodes) return;
    append_utf8(run_, lower_code(code));
    places_.resize(run_.size(), begin);
  }

  // Divided in front of contractions.
  void end_run() {
    const std::string_view run = run_;
    size_t first = 0;
    for (size_t at = 0; at < run.size();) {
      const size_t length = contraction_at(run.substr(at));
      if (length > 0 && at > first) {
        add({std::string(run.substr(first, at - first)), places_[first], places_[at]});
        first = at;
      }
      at += length > 0 ? length : 1;
    }
    if (first < run.size()) add({std::string(run.substr(first)), places_[first], end_});
    run_.clear();
    places_.clear();
    codes_ = 0;
  }

  void add(Word word) {
    if (found_.words.size() < most_)
      found_.words.push_back(std::move(word));
    else
      found_.is_cut = true;
  }

  std::string_view text_;
  size_t most_;
  Words found_;
  std::string run_;             // the word at hand, in small letters
  std::vector<size_t> places_;  // of each of its bytes in the text
  size_t end_ = 0;              // of the run in the text
  int codes_ = 0;
};

}  // namespace

Words words_of(std::string_view text, size_t most) { return Splitter(text, most).split(); }

}  // namespace graft::io
