#include "graft/io/texts/wordpiece.h"

#include <algorithm>
#include <array>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/io/texts/unicode.h"

namespace graft::io {
namespace {

constexpr size_t kMostTokens = size_t{1} << 22;
constexpr size_t kMostTokenBytes = 1000;
constexpr size_t kMostCharacters = 100;  // of a word

constexpr std::array<std::string_view, 5> kSpecialTokens{"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                                         "[MASK]"};

bool is_dropped(uint32_t code) {
  if (code == '\t' || code == '\n' || code == '\r') return false;
  return code == 0 || code == kReplacement || code == 0x0b || code == 0x0c || code == 0x85 ||
         kind_of(code) == CodeKind::control;
}

bool is_punctuation(uint32_t code) {
  if (code < 128)
    return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) || (code >= 91 && code <= 96) ||
           (code >= 123 && code <= 126);
  return kind_of(code) == CodeKind::punctuation;
}

std::string utf8_of(std::u32string_view codes) {
  std::string text;
  for (const char32_t code : codes) append_utf8(text, code);
  return text;
}

}  // namespace

WordPieces::WordPieces(std::string_view vocabulary, const std::string& name, bool lower)
    : lower_(lower) {
  const std::string_view text = text_of(vocabulary, name);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view token = text.substr(begin, end - begin);
    begin = end + 1;
    if (token.ends_with('\r')) token.remove_suffix(1);
    GRAFT_CHECK(token.size() <= kMostTokenBytes && tokens_.size() < kMostTokens, name, ": line ",
                tokens_.size() + 1, ": more than ", kMostTokenBytes, " bytes, or than ",
                kMostTokens, " tokens; this is no vocab.txt");
    GRAFT_CHECK(numbers_.emplace(token, std::ssize(tokens_)).second, name, ": line ",
                tokens_.size() + 1, ": the token '", printable(token), "' stands twice");
    tokens_.emplace_back(token);
  }
  const auto unknown = numbers_.find("[UNK]");
  GRAFT_CHECK(unknown != numbers_.end(), name, ": has no token [UNK]; this is no vocab.txt");
  unknown_ = unknown->second;
}

std::vector<int64_t> WordPieces::numbers(std::string_view text) const {
  std::vector<int64_t> numbers;
  size_t plain = 0;
  for (size_t at = text.find('['); at != std::string_view::npos; at = text.find('[', at)) {
    const auto special =
        std::find_if(kSpecialTokens.begin(), kSpecialTokens.end(), [&](std::string_view token) {
          return text.substr(at).starts_with(token) && numbers_.contains(std::string(token));
        });
    if (special == kSpecialTokens.end()) {
      ++at;
      continue;
    }
    add_plain(text.substr(plain, at - plain), numbers);
    numbers.push_back(numbers_.at(std::string(*special)));
    at += special->size();
    plain = at;
  }
  add_plain(text.substr(plain), numbers);
  return numbers;
}

void WordPieces::add_plain(std::string_view text, std::vector<int64_t>& numbers) const {
  std::u32string word, parts;
  const auto end_word = [&] {
    if (!word.empty()) add_word(word, numbers);
    word.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const uint32_t code = next_code(text, at);
    if (is_dropped(code)) continue;
    if (kind_of(code) == CodeKind::space) {
      end_word();
      continue;
    }
    const bool stands_alone = is_han(code);
    if (stands_alone) end_word();
    parts.clear();
    if (lower_)
      append_parts(parts, code);
    else
      parts += static_cast<char32_t>(code);
    for (const char32_t part : parts) {
      if (lower_ && kind_of(part) == CodeKind::mark) continue;
      const uint32_t letter = lower_ ? lower_code(part) : part;
      if (is_punctuation(letter)) {
        end_word();
        add_word({static_cast<char32_t>(letter)}, numbers);
      } else {
        word += static_cast<char32_t>(letter);
      }
    }
    if (stands_alone) end_word();
  }
  end_word();
}

void WordPieces::add_word(const std::u32string& word, std::vector<int64_t>& numbers) const {
  const std::u32string_view all = word;
  const size_t before = numbers.size();
  bool is_whole = all.size() <= kMostCharacters;
  for (size_t begin = 0; is_whole && begin < all.size();) {
    size_t end = all.size();
    for (; end > begin; --end) {
      const std::string piece = utf8_of(all.substr(begin, end - begin));
      const auto found = numbers_.find(begin > 0 ? "##" + piece : piece);
      if (found == numbers_.end()) continue;
      numbers.push_back(found->second);
      break;
    }
    is_whole = end > begin;
    begin = end;
  }
  if (is_whole) return;
  numbers.resize(before);
  numbers.push_back(unknown_);
}

}  // namespace graft::io
