// How discrimination is shown: in evaluate's text and JSON and in a report.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graft/train/tasks/classification/discrimination.h"
#include "graft/train/tasks/classification/evaluation.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {

struct ShownDiscrimination {
  std::optional<Discrimination> found{};
  std::string why_not{};  // where nothing was found: a sentence; "" where there is nothing to find
};

// Of the logits that an evaluation heard, read as probabilities as `reading` says.
ShownDiscrimination discrimination_of(const Evaluation& evaluation, const ScoringOptions& options,
                                      const Reading& reading);

// labels: of the classes, as they are shown. All three are empty where there is nothing to find.
std::string discrimination_text(const ShownDiscrimination& shown,
                                const std::vector<std::string>& labels);
std::string discrimination_json(const ShownDiscrimination& shown,
                                const std::vector<std::string>& labels);  // an object
std::string discrimination_html(const ShownDiscrimination& shown,
                                const std::vector<std::string>& labels);

}  // namespace graft::train
