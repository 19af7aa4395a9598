#include "graft/train/tasks/classification/discrimination_shown.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

constexpr size_t kMostShown = 20;

using Document = nlohmann::ordered_json;

// "0.9512 (0.9011 to 0.9822)"
std::string with_interval(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return str(fixed(e.value, 4), " (",
             std::isnan(e.low) ? "-" : str(fixed(e.low, 4), " to ", fixed(e.high, 4)), ")");
}

Document number_or_null(double value) { return std::isnan(value) ? Document() : Document(value); }

Document estimate_document(const Estimate& e) {
  return {{"value", number_or_null(e.value)},
          {"low", number_or_null(e.low)},
          {"high", number_or_null(e.high)}};
}

// The probability of a class from its log odds.
double as_probability(double score) { return 1 / (1 + std::exp(-score)); }

std::string how_drawn(const Discrimination& found) {
  return str("95 % intervals over ", thousands(found.resamples), " draws of ",
             found.groups > 0 ? str(thousands(found.groups), " groups") : "the images");
}

std::string in_column(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

}  // namespace

ShownDiscrimination discrimination_of(const Evaluation& evaluation, const ScoringOptions& options,
                                      const Reading& reading) {
  const int64_t samples = evaluation.samples(), classes = evaluation.classes();
  if (samples == 0 || classes < 2 || std::ssize(evaluation.judged()) != samples) return {};
  if (evaluation.not_finite() > 0)
    return {{}, "AUC and its like are not known, because answers are not finite"};
  const JudgedLogits& kept = evaluation.logits();
  if (kept.every > 1 || kept.samples() != samples)
    return {{},
            str("AUC and its like are not computed of more than ", thousands(kMostKeptLogits),
                " answers, images x classes")};
  std::vector<int32_t> labels, predicted;
  for (const JudgedSample& sample : evaluation.judged()) {
    labels.push_back(sample.label);
    predicted.push_back(sample.predicted);
  }
  std::vector<float> scores = kept.logits;
  if (!reading.sigmoid) {
    for (float& logit : scores) logit /= static_cast<float>(reading.temperature);
    scores = scores_against_rest(scores, classes);
  }
  const bool has_groups = std::ssize(options.groups) == samples;
  DiscriminationOptions how;
  if (has_groups) how.groups = options.groups;
  how.specificity = options.specificity;
  return {discriminate({classes, labels, predicted, scores}, how), ""};
}

std::string discrimination_text(const ShownDiscrimination& shown,
                                const std::vector<std::string>& labels) {
  if (!shown.found) return shown.why_not.empty() ? "" : "\n" + shown.why_not + "\n";
  const Discrimination& found = *shown.found;
  std::string out = str("\nAUC ", with_interval(found.auc), ", balanced accuracy ",
                        with_interval(found.balanced_accuracy), "; ", how_drawn(found), "\n");
  if (found.classes.size() > kMostShown)
    return out + str("AUC and sensitivity of ", found.classes.size(), " classes are in --json\n");
  out += str("each class against the rest; sensitivity at specificity ",
             fixed(found.specificity, 2), ", its threshold chosen on these images\n");
  size_t width = 5;
  for (const std::string& label : labels) width = std::max(width, label.size());
  constexpr size_t kColumn = 27;
  out += in_column("class", width) + "  " + in_column("AUC", kColumn) +
         in_column("sensitivity", kColumn) + "from probability\n";
  for (size_t c = 0; c < found.classes.size(); ++c) {
    const ClassDiscrimination& of_class = found.classes[c];
    out += in_column(labels.at(c), width) + "  " + in_column(with_interval(of_class.auc), kColumn) +
           in_column(with_interval(of_class.sensitivity), kColumn) +
           (std::isnan(of_class.score) ? "-" : fixed(as_probability(of_class.score), 4)) + "\n";
  }
  return out;
}

std::string discrimination_json(const ShownDiscrimination& shown,
                                const std::vector<std::string>& labels) {
  if (!shown.found) return shown.why_not.empty() ? "" : Document{{"why_not", shown.why_not}}.dump();
  const Discrimination& found = *shown.found;
  Document j = {{"auc", estimate_document(found.auc)},
                {"balanced_accuracy", estimate_document(found.balanced_accuracy)},
                {"specificity", found.specificity},
                {"classes", Document::array()},
                {"resamples", found.resamples}};
  if (found.groups > 0) j["groups"] = found.groups;
  for (size_t c = 0; c < found.classes.size(); ++c) {
    const ClassDiscrimination& of_class = found.classes[c];
    j["classes"].push_back({{"label", labels.at(c)},
                            {"images", of_class.images},
                            {"auc", estimate_document(of_class.auc)},
                            {"sensitivity", estimate_document(of_class.sensitivity)},
                            {"threshold", number_or_null(as_probability(of_class.score))}});
  }
  return j.dump();
}

std::string discrimination_html(const ShownDiscrimination& shown,
                                const std::vector<std::string>& labels) {
  if (!shown.found && shown.why_not.empty()) return "";
  std::string page = "\n<h2>Discrimination (validation)</h2>\n";
  if (!shown.found) return page + "<p>" + escape(shown.why_not) + ".</p>\n";
  const Discrimination& found = *shown.found;
  page += str("<p>AUC ", with_interval(found.auc), ", balanced accuracy ",
              with_interval(found.balanced_accuracy), ". In parentheses ", how_drawn(found),
              ". Each class against the rest; the threshold of the sensitivity at specificity ",
              fixed(found.specificity, 2), " is chosen on these images.</p>\n");
  if (found.classes.size() > kMostShown) return page;
  page +=
      "<table><tr><th>class</th><th>AUC</th><th>sensitivity</th><th>from probability</th></tr>\n";
  for (size_t c = 0; c < found.classes.size(); ++c) {
    const ClassDiscrimination& of_class = found.classes[c];
    page += str("<tr><th>", escape(labels.at(c)), "</th><td>", with_interval(of_class.auc),
                "</td><td>", with_interval(of_class.sensitivity), "</td><td>",
                std::isnan(of_class.score) ? "-" : fixed(as_probability(of_class.score), 4),
                "</td></tr>\n");
  }
  return page + "</table>";
}

}  // namespace graft::train
