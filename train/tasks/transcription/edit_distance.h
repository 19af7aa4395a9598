// Edit distance (Levenshtein 1966): the fewest insertions, deletions and substitutions of one item
// that make a sequence of another.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

GRAFT_API int64_t edit_distance(const std::vector<std::string>& a,
                                const std::vector<std::string>& b);

// The words of a text, which blanks divide.
GRAFT_API std::vector<std::string> words_of(const std::string& text);

// Mistakes of texts that were recognised, over as many as were added. A rate is all edits divided
// by all characters (words) of the truth, so it may exceed 1; 0 edits of an empty truth are 0, and
// others count against 1 character.
class GRAFT_API ErrorRates {
 public:
  // Both UTF-8.
  void add(const std::string& truth, const std::string& said);

  int64_t texts() const { return texts_; }
  int64_t right() const { return right_; }  // without a mistake
  int64_t characters() const { return characters_; }
  int64_t words() const { return words_; }
  double character_error_rate() const;
  double word_error_rate() const;

 private:
  int64_t texts_ = 0, right_ = 0;
  int64_t characters_ = 0, character_edits_ = 0;
  int64_t words_ = 0, word_edits_ = 0;
};

}  // namespace graft::train
