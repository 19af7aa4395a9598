// Alphabet: the characters that a network can spell, and what its outputs mean.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/train/tasks/transcription/sequence_search.h"

namespace graft::train {

inline constexpr int64_t kBlank = 0;              // the class that is no character
inline constexpr int64_t kUnknownCharacter = -2;  // in a target: one that the alphabet lacks

// Class 0 is the blank, class i the i-th character from 1 on.
class GRAFT_API Alphabet {
 public:
  // bad_input unless they are different single characters in UTF-8.
  explicit Alphabet(std::vector<std::string> characters);

  const std::vector<std::string>& characters() const { return characters_; }
  int64_t classes() const { return std::ssize(characters_) + 1; }
  // Of a text as io::clean_text() gives it; kUnknownCharacter where it is not known.
  std::vector<int64_t> labels_of(const std::string& text) const;
  // Up to the end of a row of targets; U+FFFD for characters that are not known.
  std::string text_of(std::span<const int64_t> labels) const;
  // What logits f32 [N,T,C] spell: by the likeliest path, or with a beam above 1 by prefix-beam
  // search.
  std::vector<std::string> spelled(const Tensor& logits, int64_t beam) const;
  // The same of a sample's scores, as labels.
  std::vector<int64_t> labels_spelled(const StepScores& scores, int64_t beam) const;

 private:
  std::vector<std::string> characters_;
  std::map<std::string, int64_t> class_of_;
};

}  // namespace graft::train
