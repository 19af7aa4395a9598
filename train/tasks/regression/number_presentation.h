// How answers that are numbers are shown: in their own units.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/regression/number_evaluation.h"

namespace graft::train {

// Of a NumberEvaluation.
class GRAFT_API NumberPresentation final : public Presentation {
 public:
  NumberPresentation(const Task& task, std::vector<std::string> names,
                     std::vector<NumberScale> scales);
  std::string text(const Metric& metric) const override;
  std::string json(const Metric& metric) const override;
  std::string html(const Metric& metric, const Metric* changed,
                   const std::string& name) const override;

  Tensor readable(const Tensor& outputs) const override;
  std::string answer_text(std::span<const float> row, int64_t most) const override;
  std::string answer_json(std::span<const float> row, int64_t most) const override;
  std::vector<std::string> output_names() const override { return names_; }
  AnswerColumns answer_columns() const override;
  std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const override;

 private:
  std::vector<std::string> names_;
  std::vector<NumberScale> scales_;
};

}  // namespace graft::train
