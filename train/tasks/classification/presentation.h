// How a classifier's results are shown: per class, with the confusion matrix.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/train/tasks/classification/calibration_view.h"
#include "graft/train/tasks/classification/evaluation.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {

// Of an Evaluation.
class GRAFT_API ClassificationPresentation final : public Presentation {
 public:
  // names: of the classes, in their order.
  // policy: how logits are read; with thresholds, an image whose likeliest class stays below its
  // own one is answered by "don't know".
  ClassificationPresentation(const Task& task, std::vector<std::string> names,
                             ProbabilityPolicy policy);
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
  // Labels that may be wrong, by confident learning (noteworthy.h).
  std::vector<Suspect> suspects(const Metric& metric) const override;

  Tensor readable(const Tensor& outputs) const override;
  // The likeliest first. Not answered: "don't know (cat 0.4100)"; in JSON "answered": false; no
  // said() and an empty cell.
  std::string answer_text(std::span<const float> row, int64_t most) const override;
  std::string answer_json(std::span<const float> row, int64_t most) const override;
  std::vector<NamedValue> said(std::span<const float> row, int64_t most) const override;
  std::vector<std::string> output_names() const override { return names_; }
  std::vector<double> thresholds() const override { return policy_.thresholds; }
  AnswerColumns answer_columns() const override;
  std::vector<AnswerCell> answer_cells(std::span<const float> row) const override;
  std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const override;

 private:
  std::vector<std::string> shown_names() const;
  bool is_answered(std::span<const float> row) const;
  std::vector<std::string> names_;
  std::vector<std::string> different_;  // the names, told apart
  ScoringOptions scoring_;
  ProbabilityPolicy policy_;
};

}  // namespace graft::train
