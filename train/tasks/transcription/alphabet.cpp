#include "graft/train/tasks/transcription/alphabet.h"

#include <algorithm>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/texts.h"
#include "graft/kernels/ops/ctc.h"
#include "graft/layers/functional/softmax.h"

namespace graft::train {

Alphabet::Alphabet(std::vector<std::string> characters) : characters_(std::move(characters)) {
  GRAFT_CHECK(!characters_.empty(), "transcribe: there are no characters");
  for (const std::string& character : characters_) {
    GRAFT_CHECK(is_utf8(character) && io::characters_of(character).size() == 1, "transcribe: '",
                printable(character), "' is not one character in UTF-8");
    const bool is_new = class_of_.emplace(character, std::ssize(class_of_) + 1).second;
    GRAFT_CHECK(is_new, "transcribe: the character '", printable(character), "' is there twice");
  }
}

std::vector<int64_t> Alphabet::labels_of(const std::string& text) const {
  std::vector<int64_t> labels;
  for (const std::string& character : io::characters_of(text)) {
    const auto at = class_of_.find(character);
    labels.push_back(at == class_of_.end() ? kUnknownCharacter : at->second);
  }
  return labels;
}

std::string Alphabet::text_of(std::span<const int64_t> labels) const {
  std::string text;
  const int64_t count = ops::ctc_labels(labels.data(), std::ssize(labels));
  for (const int64_t label : labels.first(static_cast<size_t>(count)))
    text += label >= 1 && label < classes() ? characters_[static_cast<size_t>(label - 1)]
                                            : "\xef\xbf\xbd";
  return text;
}

std::vector<int64_t> Alphabet::labels_spelled(const StepScores& scores, int64_t beam) const {
  return beam > 1 ? beam_search(scores, beam).front().labels : greedy_labels(scores);
}

std::vector<std::string> Alphabet::spelled(const Tensor& logits, int64_t beam) const {
  const NoGradGuard no_grad;
  const Tensor log_p = functional::log_softmax(to_device(logits, {}), 2);
  const int64_t numbers = log_p.size(1) * log_p.size(2);
  std::vector<std::string> texts;
  for (int64_t n = 0; n < log_p.size(0); ++n)
    texts.push_back(text_of(labels_spelled(
        {{log_p.data<float>() + n * numbers, static_cast<size_t>(numbers)}, log_p.size(2), kBlank},
        beam)));
  return texts;
}

}  // namespace graft::train
