#include "graft/train/tasks/multilabel/label_presentation.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

constexpr int64_t kFewPositives = 20;

const LabelEvaluation& labels_of(const Metric& metric) {
  return dynamic_cast<const LabelEvaluation&>(metric);
}

std::string filled(std::string text, size_t width, bool right = false) {
  if (text.size() < width) text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return text;
}

std::string dumped(const nlohmann::ordered_json& j) {
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

LabelPresentation::LabelPresentation(const Task& task, std::vector<std::string> names,
                                     std::vector<double> thresholds, bool thresholds_are_chosen)
    : Presentation(task),
      names_(std::move(names)),
      thresholds_(std::move(thresholds)),
      thresholds_are_chosen_(thresholds_are_chosen) {
  for (int64_t i = std::ssize(names_); i < task.outputs(); ++i) names_.push_back(str("label ", i));
  different_ = told_apart(names_);
}

std::string LabelPresentation::headline(const Metric& metric) const {
  const LabelEvaluation& e = labels_of(metric);
  return str("mAP ", fixed(e.mean_average_precision(), 4), " (macro-F1 ",
             fixed(e.macro_f1(thresholds_), 4), ", micro-F1 ", fixed(e.micro_f1(thresholds_), 4),
             ", loss ", fixed(e.loss(), 4), ")");
}

std::vector<std::pair<std::string, std::string>> LabelPresentation::facts(const Metric& metric,
                                                                          int64_t epoch) const {
  const LabelEvaluation& e = labels_of(metric);
  const std::string part = epoch > 0 ? "validation " : "";
  return {{part + "mAP",
           fixed(e.mean_average_precision(), 4) + (epoch > 0 ? str(" (epoch ", epoch, ")") : "")},
          {part + "loss", fixed(e.loss(), 4)},
          {part + "macro-F1", fixed(e.macro_f1(thresholds_), 4)},
          {part + "micro-F1", fixed(e.micro_f1(thresholds_), 4)}};
}

std::string LabelPresentation::doubt(const Metric& metric) const {
  const LabelEvaluation& e = labels_of(metric);
  std::vector<std::string> unknown, few;
  for (int64_t label = 0; label < e.labels(); ++label) {
    const std::string& name = names_.at(static_cast<size_t>(label));
    if (e.positives(label) == 0)
      unknown.push_back(printable(name));
    else if (e.positives(label) < kFewPositives)
      few.push_back(printable(name));
  }
  std::string said;
  if (!unknown.empty())
    said = str("no validation image has ", join(unknown), ": how well that is found is not known, ",
               "and it does not count in mAP and macro-F1");
  if (thresholds_are_chosen_ && !few.empty())
    said += str(said.empty() ? "" : "; ", "the thresholds of ", join(few), " were chosen on fewer ",
                "than ", kFewPositives, " images that have it");
  if (thresholds_are_chosen_)
    said += str(said.empty() ? "" : "; ", "the thresholds were chosen on these ", e.samples(),
                " images, so that F1 on them flatters");
  return said;
}

std::string LabelPresentation::text(const Metric& metric) const {
  const LabelEvaluation& e = labels_of(metric);
  std::string out = str(headline(metric), ", ", thousands(e.samples()), " images\n\n");
  size_t width = 5;
  for (const std::string& name : names_) width = std::max(width, printable(name).size());
  out += filled("label", width) + "  images      AP      F1  recall  precision  threshold\n";
  for (int64_t label = 0; label < e.labels(); ++label) {
    const auto c = static_cast<size_t>(label);
    const LabelCounts counts = e.counts(label, thresholds_.at(c));
    const bool is_known = e.positives(label) > 0;
    const auto cell = [&](double value) { return is_known ? fixed(value, 4) : "     -"; };
    out +=
        str(filled(printable(names_.at(c)), width), "  ",
            filled(thousands(e.positives(label)), 6, true), "  ", cell(e.average_precision(label)),
            "  ", cell(counts.f1()), "  ", cell(counts.recall()), "     ",
            fixed(counts.precision(), 4), "     ", fixed(thresholds_.at(c), 4), "\n");
  }
  return out;
}

std::string LabelPresentation::json(const Metric& metric) const {
  const LabelEvaluation& e = labels_of(metric);
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  j["mAP"] = e.mean_average_precision();
  j["macro_f1"] = e.macro_f1(thresholds_);
  j["micro_f1"] = e.micro_f1(thresholds_);
  j["loss"] = e.loss();
  j["images"] = e.samples();
  if (e.not_finite() > 0) j["not_finite"] = e.not_finite();
  j["labels"] = nlohmann::ordered_json::array();
  for (int64_t label = 0; label < e.labels(); ++label) {
    const auto c = static_cast<size_t>(label);
    const LabelCounts counts = e.counts(label, thresholds_.at(c));
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    row["label"] = names_.at(c);
    row["images"] = e.positives(label);
    if (e.positives(label) > 0) {  // else nobody knows
      row["average_precision"] = e.average_precision(label);
      row["f1"] = counts.f1();
      row["recall"] = counts.recall();
    }
    row["precision"] = counts.precision();
    row["threshold"] = thresholds_.at(c);
    j["labels"].push_back(std::move(row));
  }
  return dumped(j);
}

std::string LabelPresentation::html(const Metric& metric, const Metric* changed,
                                    const std::string& name) const {
  const LabelEvaluation& e = labels_of(metric);
  std::string table = str(
      "\n<h2>Per label (validation)</h2>\n<table><tr><th>label</th><th>images</th>"
      "<th>average precision</th><th>F1</th><th>found (recall)</th>"
      "<th>right when said (precision)</th><th>threshold</th>",
      changed ? str("<th>average precision in ", escape(name), "</th>") : std::string(), "</tr>\n");
  for (int64_t label = 0; label < e.labels(); ++label) {
    const auto c = static_cast<size_t>(label);
    const LabelCounts counts = e.counts(label, thresholds_.at(c));
    const auto known = [&](double share) {
      return e.positives(label) > 0 ? percent(share) : std::string("-");
    };
    table += str("<tr><th>", escape(names_.at(c)), "</th><td>", thousands(e.positives(label)),
                 "</td><td>", known(e.average_precision(label)), "</td><td>", known(counts.f1()),
                 "</td><td>", known(counts.recall()), "</td><td>", percent(counts.precision()),
                 "</td><td>", fixed(thresholds_.at(c), 3), "</td>");
    if (changed) table += str("<td>", known(labels_of(*changed).average_precision(label)), "</td>");
    table += "</tr>\n";
  }
  return table + "</table>";
}

Tensor LabelPresentation::readable(const Tensor& outputs) const {
  const std::vector<double> logits = to_device(outputs, {}).to_doubles();
  std::vector<float> probabilities;
  for (const double logit : logits)
    probabilities.push_back(static_cast<float>(probability_of(logit)));
  return Tensor::of<float>(outputs.shape(), probabilities);
}

std::vector<size_t> LabelPresentation::labels_said(std::span<const float> row) const {
  std::vector<size_t> labels;
  for (size_t c = 0; c < row.size(); ++c)
    if (row[c] >= static_cast<float>(thresholds_.at(c))) labels.push_back(c);
  std::stable_sort(labels.begin(), labels.end(),
                   [&](size_t a, size_t b) { return row[a] > row[b]; });
  return labels;
}

std::string LabelPresentation::answer_text(std::span<const float> row, int64_t) const {
  std::string line;
  for (const size_t c : labels_said(row))
    line += str(line.empty() ? "" : "\t", printable(names_.at(c)), " ", fixed(row[c], 4));
  return line.empty() ? "-" : line;
}

std::string LabelPresentation::answer_json(std::span<const float> row, int64_t) const {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  j["labels"] = nlohmann::ordered_json::array();
  for (const size_t c : labels_said(row)) j["labels"].push_back(names_.at(c));
  j["probabilities"] = nlohmann::ordered_json::array();
  bool is_finite = true;
  for (size_t c = 0; c < row.size(); ++c) {
    nlohmann::ordered_json one = nlohmann::ordered_json::object();
    one["label"] = names_.at(c);
    one["index"] = c;
    one["probability"] = static_cast<double>(row[c]);
    one["threshold"] = thresholds_.at(c);
    j["probabilities"].push_back(std::move(one));
    is_finite = is_finite && std::isfinite(row[c]);
  }
  if (!is_finite) j["not_finite"] = true;
  return dumped(j);
}

std::vector<NamedValue> LabelPresentation::said(std::span<const float> row, int64_t) const {
  std::vector<NamedValue> values;
  for (const size_t c : labels_said(row))
    values.push_back({names_.at(c), static_cast<int64_t>(c), row[c]});
  return values;
}

AnswerColumns LabelPresentation::answer_columns() const {
  return {.answers = {""}, .probabilities = different_};
}

std::vector<AnswerCell> LabelPresentation::answer_cells(std::span<const float> row) const {
  std::vector<std::string> names;
  for (const size_t c : labels_said(row)) names.push_back(different_.at(c));
  return {names};
}

std::vector<AnswerCell> LabelPresentation::true_cells(const io::Dataset& dataset,
                                                      int64_t sample) const {
  std::vector<std::string> names;
  for (const int64_t c : dataset.labels(sample))
    names.push_back(different_.at(static_cast<size_t>(c)));
  return {names};
}

}  // namespace graft::train
