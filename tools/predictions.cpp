#include "graft/tools/predictions.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/tools/output.h"

namespace graft::tools {
namespace {

// RFC 4180.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

size_t likeliest(const float* probabilities, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; ++i)
    if (probabilities[i] > probabilities[best]) best = i;
  return best;
}

}  // namespace

PredictionsFile::PredictionsFile(std::string path, std::vector<std::string> labels)
    : path_(std::move(path)), labels_(std::move(labels)), is_csv_(path_.ends_with(".csv")) {
  if (!is_csv_ && !path_.ends_with(".jsonl"))
    fail(ErrorCode::usage, path_, ": predictions are written as .csv or .jsonl");
  check_writable(path_);
  if (!is_csv_) return;
  text_ = "path,true,predicted,error";
  for (const std::string& label : labels_) text_ += "," + csv_field("p_" + label);
  text_ += "\n";
}

void PredictionsFile::add(const std::string& image, const std::string& truth,
                          const float* probabilities) {
  const std::string& predicted = labels_[likeliest(probabilities, labels_.size())];
  if (is_csv_) {
    text_ += csv_field(image) + "," + csv_field(truth) + "," + csv_field(predicted) + ",";
    for (size_t i = 0; i < labels_.size(); ++i) text_ += "," + fixed(probabilities[i], 6);
    text_ += "\n";
    return;
  }
  nlohmann::ordered_json j = {{"path", printable(image)}};
  if (!truth.empty()) j["true"] = truth;
  j["predicted"] = predicted;
  for (size_t i = 0; i < labels_.size(); ++i) j["probabilities"][labels_[i]] = probabilities[i];
  text_ += j.dump() + "\n";
}

void PredictionsFile::add_broken(const std::string& image, const std::string& reason) {
  if (is_csv_)
    text_ += csv_field(image) + ",,," + csv_field(printable(reason)) +
             std::string(labels_.size(), ',') + "\n";
  else
    text_ +=
        nlohmann::ordered_json{{"path", printable(image)}, {"error", printable(reason)}}.dump() +
        "\n";
}

void PredictionsFile::write() const { write_file_atomically(path_, text_); }

train::Evaluation evaluate_keeping(train::PrefixRunner& run,
                                   const std::shared_ptr<const io::Dataset>& dataset,
                                   const models::ModelCard& card, int64_t classes,
                                   PredictionsFile& kept,
                                   const std::function<void(int64_t, int64_t)>& progress) {
  const NoGradGuard no_grad;
  train::BatchLoader loader(dataset, card.preprocess, {.batch = 32, .device = run.device()});
  train::Evaluation evaluation(classes);
  loader.start(0);
  train::Batch batch;
  while (loader.next(batch)) {
    const Tensor logits = run(batch.x), values = to_device(logits, {});
    evaluation.add_logits(logits, batch.labels);
    const Tensor probabilities = card.activation == models::Activation::sigmoid
                                     ? functional::unary(values, ops::Unary::sigmoid)
                                     : functional::softmax(values);
    for (size_t i = 0; i < batch.samples.size(); ++i) {
      const auto label = static_cast<size_t>(batch.labels.data<int64_t>()[i]);
      kept.add(dataset->name(batch.samples[i]),
               label < card.labels.size() ? card.labels[label] : str("class ", label),
               probabilities.data<float>() + static_cast<int64_t>(i) * classes);
    }
    progress(evaluation.samples(), loader.samples());
  }
  return evaluation;
}

}  // namespace graft::tools
