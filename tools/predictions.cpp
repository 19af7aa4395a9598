#include "graft/tools/predictions.h"

#include <algorithm>
#include <cmath>
#include <map>
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

constexpr const char* kNotFinite = "the answer is not finite";

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

// ImageNet has two cranes: names that are there twice get their output's number.
std::vector<std::string> unlike(std::vector<std::string> names) {
  std::map<std::string, int> times;
  for (const std::string& name : names) ++times[name];
  for (size_t i = 0; i < names.size(); ++i)
    if (times[names[i]] > 1) names[i] += str(" (", i, ")");
  return names;
}

}  // namespace

PredictionsFile::PredictionsFile(std::string path, std::vector<std::string> names)
    : path_(std::move(path)), names_(unlike(std::move(names))), is_csv_(path_.ends_with(".csv")) {
  if (!is_csv_ && !path_.ends_with(".jsonl"))
    fail(ErrorCode::usage, path_, ": predictions are written as .csv or .jsonl");
  check_writable(path_);
  if (!is_csv_) return;
  text_ = "path,true,predicted,error";
  for (const std::string& name : names_) text_ += "," + csv_field("p_" + name);
  text_ += "\n";
}

void PredictionsFile::add(const std::string& image, const std::string& truth,
                          const float* probabilities) {
  const size_t count = names_.size();
  const bool is_finite = std::all_of(probabilities, probabilities + count,
                                     [](float value) { return std::isfinite(value); });
  const std::string predicted = is_finite ? names_[likeliest(probabilities, count)] : "";
  if (is_csv_) {
    text_ += csv_field(image) + "," + csv_field(truth) + "," + csv_field(predicted) + "," +
             (is_finite ? "" : kNotFinite);
    for (size_t i = 0; i < count; ++i)
      text_ += "," + (is_finite ? fixed(probabilities[i], 6) : std::string());
    text_ += "\n";
    return;
  }
  nlohmann::ordered_json j = {{"path", printable(image)}};
  if (!truth.empty()) j["true"] = truth;
  if (is_finite) {
    j["predicted"] = predicted;
    for (size_t i = 0; i < count; ++i) j["probabilities"][names_[i]] = probabilities[i];
  } else {
    j["error"] = kNotFinite;
  }
  text_ += j.dump() + "\n";
}

void PredictionsFile::add_broken(const std::string& image, const std::string& reason) {
  if (is_csv_)
    text_ += csv_field(image) + ",,," + csv_field(printable(reason)) +
             std::string(names_.size(), ',') + "\n";
  else
    text_ +=
        nlohmann::ordered_json{{"path", printable(image)}, {"error", printable(reason)}}.dump() +
        "\n";
}

void PredictionsFile::write() const { write_file_atomically(path_, text_); }

Tensor probabilities_of(const Tensor& outputs, models::Activation activation) {
  const NoGradGuard no_grad;
  const Tensor values = to_device(outputs, {});
  return activation == models::Activation::sigmoid ? functional::unary(values, ops::Unary::sigmoid)
                                                   : functional::softmax(values);
}

}  // namespace graft::tools
