// TextSteps: how a text becomes numbers of words. Kept, with the vocabulary, in the model's card,
// and the same in training, evaluation and predict.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "graft/io/texts/words.h"

namespace graft::io {

inline constexpr int64_t kPadding = 0, kUnknownWord = 1, kFirstWord = 2;

struct GRAFT_API TextSteps {
  std::string tokeniser = kWordTokeniser;
  int64_t length = 64;               // words of a text that are read; shorter ones are padded
  std::string vectors{};             // the file that vectors came from, and its format; "": none
  std::vector<std::string> words{};  // number kFirstWord and on

  // bad_input when it makes no sense: an unknown tokeniser, a word twice.
  void validate() const;
  std::string to_json() const;  // keys sorted
  static TextSteps from_json(const std::string& json);
};

// Texts as numbers. Any thread may call it.
class GRAFT_API TextNumbers {
 public:
  explicit TextNumbers(TextSteps steps);
  const TextSteps& steps() const { return steps_; }
  int64_t number_of(const std::string& word) const;  // kUnknownWord where it is not known
  // Into steps().length floats, kPadding behind the text. The words that were read.
  Words numbers(std::string_view text, float* out) const;

 private:
  TextSteps steps_;
  std::unordered_map<std::string, int64_t> numbers_;
};

// That of a card's settings; what was asked for last is kept.
GRAFT_API std::shared_ptr<const TextNumbers> text_numbers(const std::string& settings);

}  // namespace graft::io
