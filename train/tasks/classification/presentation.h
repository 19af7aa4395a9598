// How a classifier's results are shown: per class, with the confusion matrix.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/train/tasks/classification/evaluation.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {

// Of an Evaluation.
class GRAFT_API ClassificationPresentation final : public Presentation {
 public:
  // names: of the classes, in their order.
  // sigmoid: each class is read as a probability of its own.
  ClassificationPresentation(const Task& task, std::vector<std::string> names, bool sigmoid);
  bool score_with(ScoringOptions options) override;
  std::string headline(const Metric& metric) const override;
  std::vector<std::pair<std::string, std::string>> facts(const Metric& metric,
                                                         int64_t epoch) const override;
  std::string doubt(const Metric& metric) const override;
  std::string text(const Metric& metric) const override;
  std::string json(const Metric& metric) const override;
  std::string comparison(const Metric& whole, const Metric& changed,
                         const std::string& name) const override;
  std::string html(const Metric& metric, const Metric* changed,
                   const std::string& name) const override;
  // The worst mistakes, the most certain right answers, and likely wrong labels.
  std::vector<Noteworthy> noteworthy(const Metric& metric, int64_t most) const override;

  Tensor readable(const Tensor& outputs) const override;
  // The likeliest first.
  std::string answer_text(std::span<const float> row, int64_t most) const override;
  std::string answer_json(std::span<const float> row, int64_t most) const override;
  std::vector<NamedValue> said(std::span<const float> row, int64_t most) const override;
  std::vector<std::string> output_names() const override { return names_; }
  AnswerColumns answer_columns() const override;
  std::vector<AnswerCell> answer_cells(std::span<const float> row) const override;
  std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const override;

 private:
  std::vector<std::string> shown_names() const;
  std::vector<std::string> names_;
  std::vector<std::string> different_;  // the names, told apart
  bool sigmoid_;
  ScoringOptions scoring_;
};

}  // namespace graft::train
