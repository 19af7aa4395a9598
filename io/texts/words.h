// The words of a text: a fixed tokeniser, whose name and version stand in a model's card.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// Version 1, after Y. Kim's clean_str (github.com/yoonkim/CNN_sentence, process_data.py) and the
// same for all of Unicode: small letters; a word is a run of letters, digits, marks, ' and ` (the
// typographic ones count as '); 's 've n't 're 'd 'll begin a word of their own; so are each of
// ( ) , ! ? . with their wide forms, each Han character, and each symbol beyond ASCII (emoji);
// whatever else separates words, bytes that are no UTF-8 too.
inline constexpr const char* kWordTokeniser = "words 1";

struct Word {
  std::string text{};         // at most 100 code points: the rest of a longer one is dropped
  size_t begin = 0, end = 0;  // where it stands, in bytes
};

struct Words {
  std::vector<Word> words{};
  bool is_cut = false;  // there are more than were asked for, which were not looked at
};

GRAFT_API Words words_of(std::string_view text, size_t most);

}  // namespace graft::io
