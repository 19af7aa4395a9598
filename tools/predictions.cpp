#include "graft/tools/predictions.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <variant>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/tools/output.h"
#include "graft/train/tasks/shown.h"

namespace graft::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNotFinite = "the answer is not finite";

// RFC 4180.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string cell_text(const train::AnswerCell& cell) {
  return std::visit(
      [](const auto& value) -> std::string {
        using Value = std::decay_t<decltype(value)>;
        if constexpr (std::is_arithmetic_v<Value>)
          return train::shortest(value);
        else if constexpr (std::is_same_v<Value, std::string>)
          return value;
        else
          return join(value, "|");
      },
      cell);
}

// "true", or "true_degrees" of an answer that has a name.
std::string column_title(const std::string& group, const std::string& name) {
  return csv_field(name.empty() ? group : group + "_" + name);
}

// A single answer without a name is its cell; others are an object.
Json answers_document(const std::vector<std::string>& names,
                      const std::vector<train::AnswerCell>& cells) {
  const auto value = [](const train::AnswerCell& cell) {
    return std::visit([](const auto& known) { return Json(known); }, cell);
  };
  if (names.size() == 1 && names[0].empty()) return value(cells.at(0));
  Json j = Json::object();
  for (size_t i = 0; i < names.size(); ++i) j[names[i]] = value(cells.at(i));
  return j;
}

// Names may be no UTF-8.
std::string json_line(const Json& j) {
  return j.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

PredictionsFile::PredictionsFile(std::string path, const train::Presentation& shown)
    : path_(std::move(path)),
      shown_(shown),
      columns_(shown.answer_columns()),
      is_csv_(path_.ends_with(".csv")) {
  if (!is_csv_ && !path_.ends_with(".jsonl"))
    fail(ErrorCode::usage, path_, ": predictions are written as .csv or .jsonl");
  check_writable(path_);
  if (!is_csv_) return;
  text_ = "path";
  for (const char* group : {"true", "predicted"})
    for (const std::string& name : columns_.answers) text_ += "," + column_title(group, name);
  text_ += ",error";
  for (const std::string& name : columns_.probabilities) text_ += "," + csv_field("p_" + name);
  text_ += "\n";
}

void PredictionsFile::add(const std::string& image, const std::vector<train::AnswerCell>& truth,
                          std::span<const float> row) {
  const bool is_finite =
      std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); });
  std::vector<train::AnswerCell> answers;
  if (is_finite) answers = shown_.answer_cells(row);
  if (is_csv_) {
    text_ += csv_field(image);
    for (const auto* cells : {&truth, &std::as_const(answers)})
      for (size_t i = 0; i < columns_.answers.size(); ++i)
        text_ += "," + (cells->empty() ? std::string() : csv_field(cell_text(cells->at(i))));
    text_ += std::string(",") + (is_finite ? "" : kNotFinite);
    for (size_t i = 0; i < columns_.probabilities.size(); ++i)
      text_ += "," + (is_finite ? fixed(row[i], 6) : std::string());
    text_ += "\n";
    return;
  }
  Json j = {{"path", printable(image)}};
  if (!truth.empty()) j["true"] = answers_document(columns_.answers, truth);
  if (is_finite) {
    j["predicted"] = answers_document(columns_.answers, answers);
    Json probabilities = Json::object();
    for (size_t i = 0; i < columns_.probabilities.size(); ++i)
      probabilities[columns_.probabilities[i]] = row[i];
    if (!probabilities.empty()) j["probabilities"] = std::move(probabilities);
  } else {
    j["error"] = kNotFinite;
  }
  text_ += json_line(j);
}

void PredictionsFile::add_broken(const std::string& image, const std::string& reason) {
  if (is_csv_)
    text_ += csv_field(image) + std::string(2 * columns_.answers.size() + 1, ',') +
             csv_field(printable(reason)) + std::string(columns_.probabilities.size(), ',') + "\n";
  else
    text_ += json_line(Json{{"path", printable(image)}, {"error", printable(reason)}});
}

void PredictionsFile::write() const { write_file_atomically(path_, text_); }

}  // namespace graft::tools
