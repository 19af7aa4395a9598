#include "graft/train/tasks/presentation.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {

std::string Presentation::headline(const Metric& metric) const {
  const std::vector<ScoreKind>& kinds = task_.scores();
  const std::vector<double> scores = metric.scores();
  std::string line, others;
  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::string one = str(kinds[i].name, " ", fixed(scores[i], 4));
    if (i == 0)
      line = one;
    else
      others += (others.empty() ? "" : ", ") + one;
  }
  return others.empty() ? line : str(line, " (", others, ")");
}

std::vector<std::pair<std::string, std::string>> Presentation::facts(const Metric& metric,
                                                                     int64_t epoch) const {
  const std::vector<ScoreKind>& kinds = task_.scores();
  const std::vector<double> scores = metric.scores();
  std::vector<std::pair<std::string, std::string>> rows;
  for (size_t i = 0; i < kinds.size(); ++i) {
    const bool says_epoch = i == 0 && epoch > 0;
    rows.emplace_back((epoch > 0 ? "validation " : "") + kinds[i].name,
                      fixed(scores[i], 4) + (says_epoch ? str(" (epoch ", epoch, ")") : ""));
  }
  return rows;
}

bool Presentation::score_with(ScoringOptions) { return false; }

void Presentation::place(std::span<float>, const io::InputGeometry&) const {}

std::string Presentation::doubt(const Metric&) const { return ""; }

std::string Presentation::text(const Metric& metric) const {
  return str(headline(metric), ", ", metric.samples(), " images\n");
}

std::string Presentation::json(const Metric& metric) const {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  const std::vector<ScoreKind>& kinds = task_.scores();
  const std::vector<double> scores = metric.scores();
  for (size_t i = 0; i < kinds.size(); ++i) j[kinds[i].name] = scores[i];
  j["images"] = metric.samples();
  if (metric.not_finite() > 0) j["not_finite"] = metric.not_finite();
  return j.dump();
}

std::string Presentation::comparison(const Metric& whole, const Metric& changed,
                                     const std::string& name) const {
  return str("\n", name, " beside fp32: ", headline(changed), " and ", headline(whole), "\n");
}

std::string Presentation::html(const Metric&, const Metric*, const std::string&) const {
  return "";
}

std::vector<Noteworthy> Presentation::noteworthy(const Metric& metric, int64_t most) const {
  const SampleWorths known = metric.per_sample();
  std::vector<int64_t> order;
  for (int64_t i = 0; i < std::ssize(known.losses); ++i)
    if (std::isfinite(known.losses[static_cast<size_t>(i)])) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return known.losses[static_cast<size_t>(a)] > known.losses[static_cast<size_t>(b)];
  });
  const int64_t half = std::min(most, std::ssize(order) / 2);
  if (half == 0) return {};
  return {
      {"Furthest from the truth", "The largest losses.", {order.begin(), order.begin() + half}},
      {"Closest to the truth", "The smallest losses.", {order.rbegin(), order.rbegin() + half}}};
}

std::vector<Suspect> Presentation::suspects(const Metric&) const { return {}; }

Tensor Presentation::readable(const Tensor& outputs) const { return to_device(outputs, {}); }

std::string Presentation::answer_text(std::span<const float> row, int64_t) const {
  std::string line;
  for (const float value : row) line += (line.empty() ? "" : "\t") + fixed(value, 4);
  return line;
}

std::string Presentation::answer_json(std::span<const float> row, int64_t) const {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  j["outputs"] = std::vector<double>(row.begin(), row.end());
  return j.dump();
}

std::vector<NamedValue> Presentation::said(std::span<const float> row, int64_t) const {
  const std::vector<std::string> names = output_names();
  std::vector<NamedValue> values;
  for (size_t i = 0; i < row.size(); ++i)
    values.push_back({i < names.size() ? names[i] : "", static_cast<int64_t>(i), row[i]});
  return values;
}

std::vector<std::string> Presentation::output_names() const {
  std::vector<std::string> names;
  for (int64_t i = 1; i <= task_.outputs(); ++i) names.push_back(str("output ", i));
  return names;
}

std::vector<double> Presentation::thresholds() const { return {}; }

AnswerColumns Presentation::answer_columns() const { return {.answers = output_names()}; }

std::vector<AnswerCell> Presentation::answer_cells(std::span<const float> row) const {
  return {row.begin(), row.end()};
}

std::vector<Picture> Presentation::pictures(const Maps&, const io::Image&) const { return {}; }

std::vector<AnswerCell> Presentation::true_cells(const io::Dataset&, int64_t) const { return {}; }

}  // namespace graft::train
