#include "graft/train/tasks/transcription/edit_distance.h"

#include <algorithm>
#include <numeric>

#include "graft/io/datasets/texts.h"

namespace graft::train {
namespace {

double error_rate(int64_t edits, int64_t all) {
  return static_cast<double>(edits) / static_cast<double>(std::max<int64_t>(all, 1));
}

}  // namespace

int64_t edit_distance(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  // row[j]: the distance of what of a was seen so far to the first j of b.
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void ErrorRates::add(const std::string& truth, const std::string& said) {
  const std::vector<std::string> characters = io::characters_of(truth), words = words_of(truth);
  ++texts_;
  right_ += truth == said;
  characters_ += std::ssize(characters);
  character_edits_ += edit_distance(characters, io::characters_of(said));
  words_ += std::ssize(words);
  word_edits_ += edit_distance(words, words_of(said));
}

double ErrorRates::character_error_rate() const {
  return error_rate(character_edits_, characters_);
}

double ErrorRates::word_error_rate() const { return error_rate(word_edits_, words_); }

}  // namespace graft::train
