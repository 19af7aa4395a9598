// --predictions: the answer to every image, whatever the model is for, as CSV or JSON lines.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "graft/train/tasks/presentation.h"

namespace graft::tools {

class PredictionsFile {
 public:
  // `shown` gives the columns and the cells, and must outlive it. Error(usage) unless `path` ends
  // in .csv or .jsonl; proves that it can be written.
  PredictionsFile(std::string path, const train::Presentation& shown);

  // truth: of Presentation::true_cells(), empty where it is not known. row: of readable(); where
  // one of its numbers is not finite, that is the image's error and nothing is predicted.
  void add(const std::string& image, const std::vector<train::AnswerCell>& truth,
           std::span<const float> row);
  void add_broken(const std::string& image, const std::string& reason);
  void write() const;

 private:
  std::string path_;
  const train::Presentation& shown_;
  train::AnswerColumns columns_;
  bool is_csv_;
  std::string text_;
};

}  // namespace graft::tools
