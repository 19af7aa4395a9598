// How recognised texts and their mistakes are shown.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/transcription/text_evaluation.h"

namespace graft::train {

// Of a TextEvaluation.
class GRAFT_API TextPresentation final : public Presentation {
 public:
  TextPresentation(const Task& task, Alphabet alphabet, int64_t beam);
  std::string text(const Metric& metric) const override;
  std::string json(const Metric& metric) const override;
  std::string html(const Metric& metric, const Metric* changed,
                   const std::string& name) const override;

  // Probabilities of the blank and the characters at each step.
  Tensor readable(const Tensor& outputs) const override;
  // The text, and the probability of it: that of all paths that spell it.
  std::string answer_text(std::span<const float> row, int64_t most) const override;
  std::string answer_json(std::span<const float> row, int64_t most) const override;
  std::vector<NamedValue> said(std::span<const float> row, int64_t most) const override;
  std::vector<std::string> output_names() const override;
  AnswerColumns answer_columns() const override;
  std::vector<AnswerCell> answer_cells(std::span<const float> row) const override;
  std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const override;

 private:
  struct SpelledText {
    std::string text{};
    double probability = 0;
  };
  SpelledText spelled(std::span<const float> row) const;

  Alphabet alphabet_;
  int64_t beam_;
};

}  // namespace graft::train
