#include "graft/train/tasks/regression/number_presentation.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

const NumberEvaluation& numbers_of(const Metric& metric) {
  return dynamic_cast<const NumberEvaluation&>(metric);
}

std::string in_columns(std::string text, size_t width, bool right = false) {
  if (text.size() < width) text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return text;
}

}  // namespace

NumberPresentation::NumberPresentation(const Task& task, std::vector<std::string> names,
                                       std::vector<NumberScale> scales)
    : Presentation(task), names_(std::move(names)), scales_(std::move(scales)) {
  for (int64_t i = std::ssize(names_); i < task.outputs(); ++i)
    names_.push_back(str("number ", i + 1));
}

std::string NumberPresentation::text(const Metric& metric) const {
  const NumberEvaluation& e = numbers_of(metric);
  std::string out = str(headline(metric), ", ", thousands(e.samples()), " images\n");
  if (e.numbers() > 1)
    out += "(mae and rmse of several numbers are in deviations of the training images)\n";
  size_t width = 6;
  for (const std::string& name : names_) width = std::max(width, printable(name).size());
  out += str("\n", in_columns("number", width), "         MAE        RMSE       R2\n");
  for (int64_t i = 0; i < e.numbers(); ++i)
    out += str(in_columns(printable(names_.at(static_cast<size_t>(i))), width), "  ",
               in_columns(fixed(e.mean_absolute_error(i), 4), 10, true), "  ",
               in_columns(fixed(e.root_mean_squared_error(i), 4), 10, true), "  ",
               in_columns(fixed(e.r2(i), 4), 7, true), "\n");
  return out;
}

std::string NumberPresentation::json(const Metric& metric) const {
  const NumberEvaluation& e = numbers_of(metric);
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(Presentation::json(metric));
  j["numbers"] = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < e.numbers(); ++i) {
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    row["name"] = names_.at(static_cast<size_t>(i));
    row["mae"] = e.mean_absolute_error(i);
    row["rmse"] = e.root_mean_squared_error(i);
    row["r2"] = e.r2(i);
    j["numbers"].push_back(std::move(row));
  }
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string NumberPresentation::html(const Metric& metric, const Metric* changed,
                                     const std::string& name) const {
  const NumberEvaluation& e = numbers_of(metric);
  std::string table =
      str("\n<h2>Per number (validation)</h2>\n<table><tr><th>number</th><th>MAE</th>",
          "<th>RMSE</th><th>R2</th>",
          changed ? str("<th>MAE in ", escape(name), "</th>") : std::string(), "</tr>\n");
  for (int64_t i = 0; i < e.numbers(); ++i) {
    table += str("<tr><th>", escape(names_.at(static_cast<size_t>(i))), "</th><td>",
                 fixed(e.mean_absolute_error(i), 4), "</td><td>",
                 fixed(e.root_mean_squared_error(i), 4), "</td><td>", fixed(e.r2(i), 4), "</td>");
    if (changed)
      table += str("<td>", fixed(numbers_of(*changed).mean_absolute_error(i), 4), "</td>");
    table += "</tr>\n";
  }
  return table + "</table>";
}

Tensor NumberPresentation::readable(const Tensor& outputs) const {
  const std::vector<double> standardised = to_device(outputs, {}).to_doubles();
  std::vector<float> values;
  for (size_t i = 0; i < standardised.size(); ++i) {
    const NumberScale& scale = scales_[i % scales_.size()];
    values.push_back(static_cast<float>(standardised[i] * scale.deviation + scale.mean));
  }
  return Tensor::of<float>(outputs.shape(), values);
}

std::string NumberPresentation::answer_text(std::span<const float> row, int64_t) const {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i)
    line += str(i == 0 ? "" : "\t", printable(names_.at(i)), " ", fixed(row[i], 4));
  return line;
}

std::string NumberPresentation::answer_json(std::span<const float> row, int64_t) const {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  j["numbers"] = nlohmann::ordered_json::array();
  bool is_finite = true;
  for (size_t i = 0; i < row.size(); ++i) {
    nlohmann::ordered_json one = nlohmann::ordered_json::object();
    one["name"] = names_.at(i);
    one["value"] = static_cast<double>(row[i]);
    j["numbers"].push_back(std::move(one));
    is_finite = is_finite && std::isfinite(row[i]);
  }
  if (!is_finite) j["not_finite"] = true;
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

AnswerColumns NumberPresentation::answer_columns() const { return {.answers = told_apart(names_)}; }

std::vector<AnswerCell> NumberPresentation::true_cells(const io::Dataset& dataset,
                                                       int64_t sample) const {
  const std::vector<double> numbers = dataset.numbers(sample);
  return {numbers.begin(), numbers.end()};
}

}  // namespace graft::train
