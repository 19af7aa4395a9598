// Which words of a text decided a network's answer.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graft/models/model_file.h"

namespace graft {

struct DecidingWord {
  std::string word{};         // in small letters
  size_t begin = 0, end = 0;  // where it stands in the text, in bytes
  double weight = 0;          // what it adds to the output (a logit, a number)
};

// Of a network of words (api/text_model.h) at one of its outputs: its words with what each adds,
// the most first, at most `most` of them; none of other networks. Of kim_cnn what each filter adds
// is shared alike by the words under it where it was largest; of word_mean a word adds its vector's
// part. With the head's bias and what filters give without a word they sum to the output.
GRAFT_API std::vector<DecidingWord> deciding_words(const models::Model& model,
                                                   std::string_view text, int64_t output,
                                                   int64_t most);

}  // namespace graft
