// --predictions: the answer to every image, with the probability of each class, as CSV or JSON
// lines.
#pragma once
#include <string>
#include <vector>

#include "graft/models/model_file.h"
#include "graft/train/fit.h"
#include "graft/train/loader.h"

namespace graft::tools {

class PredictionsFile {
 public:
  // Error(usage) unless `path` ends in .csv or .jsonl; proves that it can be written.
  PredictionsFile(std::string path, std::vector<std::string> labels);

  // truth: a label, or "" where it is not known. `probabilities`: one of each label.
  void add(const std::string& image, const std::string& truth, const float* probabilities);
  void add_broken(const std::string& image, const std::string& reason);
  void write() const;

 private:
  std::string path_;
  std::vector<std::string> labels_;
  bool is_csv_;
  std::string text_;
};

// train::evaluate, which keeps each answer.
train::Evaluation evaluate_keeping(train::PrefixRunner& run,
                                   const std::shared_ptr<const io::Dataset>& dataset,
                                   const models::ModelCard& card, int64_t classes,
                                   PredictionsFile& kept,
                                   const std::function<void(int64_t, int64_t)>& progress);

}  // namespace graft::tools
