// How answers of several labels a sample are shown: per label, at the thresholds that hold.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/train/tasks/multilabel/label_evaluation.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {

// Of a LabelEvaluation.
class GRAFT_API LabelPresentation final : public Presentation {
 public:
  LabelPresentation(const Task& task, std::vector<std::string> names,
                    std::vector<double> thresholds, bool thresholds_are_chosen);
  std::string headline(const Metric& metric) const override;
  std::vector<std::pair<std::string, std::string>> facts(const Metric& metric,
                                                         int64_t epoch) const override;
  std::string doubt(const Metric& metric) const override;
  std::string text(const Metric& metric) const override;
  std::string json(const Metric& metric) const override;
  std::string html(const Metric& metric, const Metric* changed,
                   const std::string& name) const override;

  Tensor readable(const Tensor& outputs) const override;
  // The labels that are said, the likeliest first; "-" for none. The table also has every label's
  // probability.
  std::string answer_text(std::span<const float> row, int64_t most) const override;
  std::string answer_json(std::span<const float> row, int64_t most) const override;
  std::vector<NamedValue> said(std::span<const float> row, int64_t most) const override;
  std::vector<std::string> output_names() const override { return names_; }
  std::vector<double> thresholds() const override { return thresholds_; }
  AnswerColumns answer_columns() const override;
  std::vector<AnswerCell> answer_cells(std::span<const float> row) const override;
  std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const override;

 private:
  std::vector<size_t> labels_said(std::span<const float> row) const;

  std::vector<std::string> names_;
  std::vector<std::string> different_;  // the names, told apart
  std::vector<double> thresholds_;
  bool thresholds_are_chosen_;
};

}  // namespace graft::train
