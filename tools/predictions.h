// --predictions: the answer to every image, with the probability of each output, as CSV or JSON
// lines.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/models/card.h"

namespace graft::tools {

class PredictionsFile {
 public:
  // `names`: what each output stands for; those that several have get their number. Error(usage)
  // unless `path` ends in .csv or .jsonl; proves that it can be written.
  PredictionsFile(std::string path, std::vector<std::string> names);

  const std::string& name(int64_t output) const { return names_.at(static_cast<size_t>(output)); }
  // truth: a name, or "" where it is not known. `probabilities`: one of each name. Where one is not
  // finite, that is the image's error and nothing is predicted.
  void add(const std::string& image, const std::string& truth, const float* probabilities);
  void add_broken(const std::string& image, const std::string& reason);
  void write() const;

 private:
  std::string path_;
  std::vector<std::string> names_;
  bool is_csv_;
  std::string text_;
};

// What a network's outputs [N,C] say by its card's activation, on the host.
Tensor probabilities_of(const Tensor& outputs, models::Activation activation);

}  // namespace graft::tools
