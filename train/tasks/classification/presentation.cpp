#include "graft/train/tasks/classification/presentation.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "graft/core/autograd/record.h"
#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/softmax.h"
#include "graft/layers/functional/unary.h"
#include "graft/train/tasks/classification/certainty.h"
#include "graft/train/tasks/classification/discrimination_shown.h"
#include "graft/train/tasks/classification/noteworthy.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

nlohmann::ordered_json document(const Evaluation& e, const std::vector<std::string>& labels) {
  nlohmann::ordered_json j = {{"accuracy", e.accuracy()},
                              {"macro_f1", e.macro_f1()},
                              {"loss", e.loss()},
                              {"correct", e.correct()},
                              {"images", e.samples()}};
  if (e.not_finite() > 0) j["not_finite"] = e.not_finite();
  nlohmann::ordered_json classes = nlohmann::ordered_json::array(),
                         confusion = nlohmann::ordered_json::array();
  for (int64_t label = 0; label < e.classes(); ++label) {
    int64_t images = 0;
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (int64_t p = 0; p < e.classes(); ++p) {
      images += e.confusion(label, p);
      row.push_back(e.confusion(label, p));
    }
    confusion.push_back(row);
    classes.push_back({{"label", labels[static_cast<size_t>(label)]},
                       {"images", images},
                       {"recall", e.recall(label)},
                       {"precision", e.precision(label)}});
  }
  j["classes"] = classes;
  j["confusion"] = confusion;  // [true][predicted]
  return j;
}

std::string padded(std::string text, size_t width, bool right = false) {
  if (text.size() < width) text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return text;
}

std::string text_of(const Evaluation& e, const std::vector<std::string>& labels) {
  constexpr int64_t kMatrix = 20;
  std::string out =
      str("accuracy ", fixed(e.accuracy(), 4), " (", e.correct(), " of ", e.samples(),
          " images), macro-F1 ", fixed(e.macro_f1(), 4), ", loss ", fixed(e.loss(), 4), "\n\n");
  size_t width = 5;
  for (const std::string& label : labels) width = std::max(width, label.size());
  out += padded("class", width) + "  images  recall  precision\n";
  for (int64_t l = 0; l < e.classes(); ++l) {
    int64_t images = 0;
    for (int64_t p = 0; p < e.classes(); ++p) images += e.confusion(l, p);
    out += str(padded(labels[static_cast<size_t>(l)], width), "  ",
               padded(std::to_string(images), 6, true), "  ",
               images > 0 ? fixed(e.recall(l), 4) : "     -", "  ", fixed(e.precision(l), 4), "\n");
  }
  if (e.classes() > kMatrix)
    return out + str("\nthe confusion matrix of ", e.classes(), " classes is in --json\n");
  out += "\nconfusion matrix (a row a true class, a column a predicted one)\n";
  for (int64_t l = 0; l < e.classes(); ++l) {
    out += padded(labels[static_cast<size_t>(l)], width);
    for (int64_t p = 0; p < e.classes(); ++p)
      out += padded(std::to_string(e.confusion(l, p)), 7, true);
    out += "\n";
  }
  return out;
}

// What other arithmetic costs: accuracy, and recall per class, beside fp32's.
std::string comparison_text(const Evaluation& whole, const Evaluation& int8,
                            const std::string& name, const std::vector<std::string>& labels) {
  std::string out = str("\n", name, " beside fp32: accuracy ", fixed(int8.accuracy(), 4), " and ",
                        fixed(whole.accuracy(), 4), "\n");
  size_t width = 5;
  for (const std::string& label : labels) width = std::max(width, label.size());
  out += padded("class", width) + padded("", 2) + padded("recall " + name, 11, true) +
         "  recall fp32    lost\n";
  for (int64_t l = 0; l < whole.classes(); ++l)
    out += str(padded(labels[static_cast<size_t>(l)], width), "  ",
               padded(fixed(int8.recall(l), 4), 11, true), "  ",
               padded(fixed(whole.recall(l), 4), 11, true), "  ",
               padded(fixed(whole.recall(l) - int8.recall(l), 4), 6, true), "\n");
  return out;
}

// What a report's tables are made of.
struct ReportTables {
  std::vector<std::string> classes{};
  std::vector<std::vector<int64_t>> confusion{}, int8_confusion{};  // [true class][predicted class]
};

// Recall, precision and count of each class; with 8-bit integers measured, their recall and what it
// lost.
std::string per_class(const ReportTables& report) {
  std::string rows;
  const bool int8 = !report.int8_confusion.empty();
  for (size_t c = 0; c < report.confusion.size(); ++c) {
    int64_t of_class = 0, predicted = 0;
    for (size_t o = 0; o < report.confusion.size(); ++o) {
      of_class += report.confusion[c][o];
      predicted += report.confusion[o][c];
    }
    const auto right = static_cast<double>(report.confusion[c][c]);
    rows +=
        str("<tr><th>", escape(report.classes[c]), "</th><td>", thousands(of_class), "</td><td>",
            percent(of_class ? right / static_cast<double>(of_class) : NAN), "</td><td>",
            percent(predicted ? right / static_cast<double>(predicted) : NAN), "</td>");
    if (int8) {
      const auto right8 = static_cast<double>(report.int8_confusion[c][c]),
                 count = static_cast<double>(of_class);
      rows += str("<td>", percent(of_class ? right8 / count : NAN), "</td><td>",
                  percent(of_class ? (right - right8) / count : NAN), "</td>");
    }
    rows += "</tr>\n";
  }
  return str("<table><tr><th>class</th><th>images</th><th>found (recall)</th><th>right when said "
             "(precision)</th>",
             int8 ? "<th>found in int8</th><th>lost by int8</th>" : "", "</tr>\n") +
         rows + "</table>";
}

std::string confusion_matrix(const ReportTables& report) {
  std::string table = "<table class=\"m\"><tr><th>true \\ predicted</th>";
  for (const std::string& name : report.classes)
    table += "<th><span>" + escape(name) + "</span></th>";
  table += "</tr>\n";
  for (size_t row = 0; row < report.confusion.size(); ++row) {
    int64_t total = 0;
    for (int64_t n : report.confusion[row]) total += n;
    table += "<tr><th>" + escape(report.classes[row]) + "</th>";
    for (size_t column = 0; column < report.confusion[row].size(); ++column) {
      const int64_t n = report.confusion[row][column];
      const double share = total ? static_cast<double>(n) / static_cast<double>(total) : 0;
      const char* color = row == column ? "30,111,180" : "180,72,30";
      table += str("<td style=\"background:rgba(", color, ",", fixed(share * 0.85, 3), ")\">",
                   n ? thousands(n) : "", "</td>");
    }
    table += "</tr>\n";
  }
  return table + "</table>";
}

// The pairs that are confused most, for classes too many to show in a matrix.
std::string worst_pairs(const ReportTables& report) {
  constexpr size_t kPairs = 50;
  std::vector<std::tuple<int64_t, size_t, size_t>>
      pairs;  // minus the count, so that it sorts first
  for (size_t row = 0; row < report.confusion.size(); ++row)
    for (size_t column = 0; column < report.confusion[row].size(); ++column)
      if (row != column && report.confusion[row][column] > 0)
        pairs.emplace_back(-report.confusion[row][column], row, column);
  const size_t shown = std::min(pairs.size(), kPairs);
  std::partial_sort(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(shown), pairs.end());
  std::string table = "<table><tr><th>true</th><th>predicted</th><th>images</th></tr>\n";
  for (size_t i = 0; i < shown; ++i) {
    const auto [count, row, column] = pairs[i];
    table += str("<tr><th>", escape(report.classes[row]), "</th><td>",
                 escape(report.classes[column]), "</td><td>", thousands(-count), "</td></tr>\n");
  }
  return table + "</table>";
}

std::string confusions(const ReportTables& report) {
  constexpr size_t kMatrix = 100;  // 3,000 classes would be nine million cells
  if (report.confusion.size() <= kMatrix)
    return "\n<h2>Confusion matrix (validation)</h2>\n" + confusion_matrix(report);
  return str("\n<h2>Confused most (validation)</h2>\n<p>The matrix of ", report.confusion.size(),
             " classes is too large to show; these are its largest entries.</p>\n") +
         worst_pairs(report);
}

// The places of the `most` largest, in falling order; of equals the first.
std::vector<size_t> likeliest(std::span<const float> row, int64_t most) {
  std::vector<size_t> order(row.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto value = [&](size_t i) {  // a NaN has no place in an order
    return std::isnan(row[i]) ? -1.0f : row[i];
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return value(a) > value(b); });
  order.resize(std::min(order.size(), static_cast<size_t>(most)));
  return order;
}

const Evaluation& evaluation_of(const Metric& metric) {
  return dynamic_cast<const Evaluation&>(metric);
}

}  // namespace

ClassificationPresentation::ClassificationPresentation(const Task& task,
                                                       std::vector<std::string> names,
                                                       ProbabilityPolicy policy)
    : Presentation(task), names_(std::move(names)), policy_(std::move(policy)) {
  for (int64_t i = std::ssize(names_); i < task.outputs(); ++i) names_.push_back(str("class ", i));
  different_ = told_apart(names_);
}

std::vector<std::string> ClassificationPresentation::shown_names() const {
  std::vector<std::string> shown = names_;
  for (std::string& name : shown) name = printable(name);
  return shown;
}

bool ClassificationPresentation::score_with(ScoringOptions options) {
  scoring_ = std::move(options);
  return true;
}

std::string ClassificationPresentation::headline(const Metric& metric) const {
  const Evaluation& e = evaluation_of(metric);
  return str("accuracy ", fixed(e.accuracy(), 4), " (macro-F1 ", fixed(e.macro_f1(), 4), ", loss ",
             fixed(e.loss(), 4), ")");
}

std::vector<std::pair<std::string, std::string>> ClassificationPresentation::facts(
    const Metric& metric, int64_t epoch) const {
  const Evaluation& e = evaluation_of(metric);
  std::vector<std::pair<std::string, std::string>> rows;
  if (epoch == 0)
    rows = {{"accuracy", fixed(e.accuracy(), 4)}};
  else
    rows = {{"validation accuracy", str(fixed(e.accuracy(), 4), " (epoch ", epoch, ")")},
            {"validation loss", fixed(e.loss(), 4)},
            {"macro-F1", fixed(e.macro_f1(), 4)}};
  for (auto& row : calibration_facts(e.logits(), policy_)) rows.push_back(std::move(row));
  return rows;
}

std::string ClassificationPresentation::doubt(const Metric& metric) const {
  const Evaluation& e = evaluation_of(metric);
  return how_sure(e.correct(), e.samples());
}

std::string ClassificationPresentation::text(const Metric& metric) const {
  const Evaluation& e = evaluation_of(metric);
  const std::string calibration = calibration_text(e.logits(), policy_);
  return text_of(e, shown_names()) +
         discrimination_text(discrimination_of(e, scoring_, policy_.reading), shown_names()) +
         (calibration.empty() ? "" : "\n" + calibration);
}

std::string ClassificationPresentation::json(const Metric& metric) const {
  std::vector<std::string> names = names_;  // those that are no UTF-8 as they are shown
  for (std::string& name : names) try {
      (void)nlohmann::json(name).dump();
    } catch (const nlohmann::json::exception&) {
      name = printable(name);
    }
  const Evaluation& e = evaluation_of(metric);
  nlohmann::ordered_json j = document(e, names);
  const std::string found =
      discrimination_json(discrimination_of(e, scoring_, policy_.reading), names);
  if (!found.empty()) j["discrimination"] = nlohmann::ordered_json::parse(found);
  j.update(nlohmann::ordered_json::parse(calibration_json(e.logits(), policy_)));
  return j.dump();
}

std::string ClassificationPresentation::comparison(const Metric& whole, const Metric& changed,
                                                   const std::string& name) const {
  return comparison_text(evaluation_of(whole), evaluation_of(changed), name, shown_names());
}

std::string ClassificationPresentation::html(const Metric& metric, const Metric* changed,
                                             const std::string&) const {
  ReportTables tables{names_, evaluation_of(metric).rows(), {}};
  if (changed) tables.int8_confusion = evaluation_of(*changed).rows();
  return "\n<h2>Per class (validation)</h2>\n" + per_class(tables) +
         discrimination_html(discrimination_of(evaluation_of(metric), scoring_, policy_.reading),
                             shown_names()) +
         confusions(tables) + calibration_html(evaluation_of(metric).logits(), policy_);
}

std::vector<Noteworthy> ClassificationPresentation::noteworthy(const Metric& metric,
                                                               int64_t most) const {
  const Evaluation& e = evaluation_of(metric);
  if (std::ssize(e.judged()) != e.samples()) return {};  // of some the answers are not known
  if (e.logits().every > 1) return noteworthy_answers(e.judged(), most);  // some were not kept
  std::vector<int64_t> wrong_labels;
  for (const LabelIssue& issue : label_issues(e.logits(), policy_.reading))
    wrong_labels.push_back(issue.sample);
  return noteworthy_answers(e.judged(), most, &wrong_labels);
}

std::vector<Suspect> ClassificationPresentation::suspects(const Metric& metric) const {
  std::vector<Suspect> found;
  for (const LabelIssue& issue : label_issues(evaluation_of(metric).logits(), policy_.reading))
    found.push_back({issue.sample, names_.at(static_cast<size_t>(issue.label)),
                     names_.at(static_cast<size_t>(issue.rather)), issue.margin});
  return found;
}

Tensor ClassificationPresentation::readable(const Tensor& outputs) const {
  const NoGradGuard no_grad;
  const Tensor values = to_device(outputs, {});
  if (policy_.reading.sigmoid) return functional::sigmoid(values);
  if (policy_.reading.temperature == 1) return functional::softmax(values);
  Tensor scaled = values.clone();
  const auto factor = static_cast<float>(1 / policy_.reading.temperature);
  float* x = scaled.mutable_data<float>();
  std::transform(x, x + scaled.numel(), x, [factor](float logit) { return logit * factor; });
  return functional::softmax(scaled);
}

bool ClassificationPresentation::is_answered(std::span<const float> row) const {
  if (policy_.thresholds.empty()) return true;
  const size_t first = likeliest(row, 1).at(0);
  return double{row[first]} >= policy_.thresholds.at(first);
}

std::string ClassificationPresentation::answer_text(std::span<const float> row,
                                                    int64_t most) const {
  std::string line;
  for (const size_t c : likeliest(row, most))
    line += str(line.empty() ? "" : "\t", printable(names_.at(c)), " ", fixed(row[c], 4));
  return is_answered(row) ? line : str("don't know (", line, ")");
}

std::string ClassificationPresentation::answer_json(std::span<const float> row,
                                                    int64_t most) const {
  nlohmann::ordered_json top = nlohmann::ordered_json::array();
  bool is_finite = true;
  for (const size_t c : likeliest(row, most)) {
    top.push_back(
        {{"label", names_.at(c)}, {"index", c}, {"probability", static_cast<double>(row[c])}});
    is_finite = is_finite && std::isfinite(row[c]);
  }
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  if (!policy_.thresholds.empty()) j["answered"] = is_answered(row);
  j["top"] = std::move(top);
  if (!is_finite) j["not_finite"] = true;
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<NamedValue> ClassificationPresentation::said(std::span<const float> row,
                                                         int64_t most) const {
  std::vector<NamedValue> values;
  if (!is_answered(row)) return values;
  for (const size_t c : likeliest(row, most))
    values.push_back({names_.at(c), static_cast<int64_t>(c), row[c]});
  return values;
}

AnswerColumns ClassificationPresentation::answer_columns() const {
  return {.answers = {""}, .probabilities = different_};
}

std::vector<AnswerCell> ClassificationPresentation::answer_cells(std::span<const float> row) const {
  if (!is_answered(row)) return {std::string()};
  return {different_.at(likeliest(row, 1).at(0))};
}

std::vector<AnswerCell> ClassificationPresentation::true_cells(const io::Dataset& dataset,
                                                               int64_t sample) const {
  return {different_.at(static_cast<size_t>(dataset.label(sample)))};
}

}  // namespace graft::train
