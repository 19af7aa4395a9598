#include "graft/train/tasks/transcription/text_presentation.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/record.h"
#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/ctc.h"
#include "graft/layers/functional/softmax.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostListed = 10;  // samples that a text lists

const TextEvaluation& texts_of(const Metric& metric) {
  return dynamic_cast<const TextEvaluation&>(metric);
}

bool is_finite_row(std::span<const float> row) {
  return std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); });
}

std::string too_long_lines(const TextEvaluation& e) {
  if (e.too_long().empty()) return "";
  std::string out = str("\n", thousands(std::ssize(e.too_long())),
                        " texts need more steps than the network has, and cannot be right:\n");
  for (size_t i = 0; i < std::min(e.too_long().size(), kMostListed); ++i)
    out += str("  sample ", e.too_long()[i].sample + 1, ": needs ", e.too_long()[i].needs,
               " steps of ", e.too_long()[i].steps, "\n");
  return out;
}

}  // namespace

TextPresentation::TextPresentation(const Task& task, Alphabet alphabet, int64_t beam)
    : Presentation(task), alphabet_(std::move(alphabet)), beam_(beam) {}

std::string TextPresentation::text(const Metric& metric) const {
  const TextEvaluation& e = texts_of(metric);
  const ErrorRates& rates = e.rates();
  std::string out =
      str(headline(metric), ", ", thousands(e.samples()), " texts\n", thousands(rates.right()),
          " texts are right, of ", thousands(rates.characters()), " characters in ",
          thousands(rates.words()), " words\n");
  if (e.with_unknown() > 0)
    out +=
        str(thousands(e.with_unknown()), " texts have characters that the model does not know\n");
  out += too_long_lines(e);
  if (e.mistaken().empty()) return out;
  out += "\nthe first mistakes (truth, answer)\n";
  for (size_t i = 0; i < std::min(e.mistaken().size(), kMostListed); ++i)
    out += str("  ", printable(e.mistaken()[i].truth), "\t", printable(e.mistaken()[i].said), "\n");
  return out;
}

std::string TextPresentation::json(const Metric& metric) const {
  const TextEvaluation& e = texts_of(metric);
  Json j = Json::parse(Presentation::json(metric));
  j["right"] = e.rates().right();
  j["characters"] = e.rates().characters();
  j["words"] = e.rates().words();
  j["with_unknown_characters"] = e.with_unknown();
  j["too_long"] = Json::array();
  for (const TooLongText& own : e.too_long())
    j["too_long"].push_back(
        Json{{"sample", own.sample + 1}, {"needs", own.needs}, {"steps", own.steps}});
  j["mistakes"] = Json::array();
  for (const MistakenText& own : e.mistaken())
    j["mistakes"].push_back(Json{{"true", own.truth}, {"predicted", own.said}});
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string TextPresentation::html(const Metric& metric, const Metric*, const std::string&) const {
  const TextEvaluation& e = texts_of(metric);
  if (e.mistaken().empty()) return "";
  std::string table =
      "\n<h2>Texts that are not right (validation, the first)</h2>\n"
      "<table><tr><th>truth</th><th>answer</th></tr>\n";
  for (const MistakenText& own : e.mistaken())
    table += str("<tr><td>", escape(own.truth), "</td><td>", escape(own.said), "</td></tr>\n");
  return table + "</table>";
}

Tensor TextPresentation::readable(const Tensor& outputs) const {
  const NoGradGuard no_grad;
  return functional::softmax(to_device(outputs, {}), 2);
}

TextPresentation::SpelledText TextPresentation::spelled(std::span<const float> row) const {
  std::vector<float> log_p;
  for (const float p : row) log_p.push_back(std::log(std::max(p, 1e-30F)));
  const StepScores scores{log_p, alphabet_.classes(), kBlank};
  std::vector<int64_t> labels = alphabet_.labels_spelled(scores, beam_);
  SpelledText found{.text = alphabet_.text_of(labels)};
  if (labels.empty()) labels.push_back(ops::kNoCtcLabel);
  const NoGradGuard no_grad;
  const Tensor loss =
      functional::ctc_loss(Tensor::of<float>({1, scores.steps(), scores.classes}, log_p),
                           Tensor::of<int64_t>({1, std::ssize(labels)}, labels),
                           {.blank = kBlank, .reduction = ops::Reduction::sum});
  found.probability = std::exp(-loss.item());
  return found;
}

std::string TextPresentation::answer_text(std::span<const float> row, int64_t) const {
  const SpelledText own = spelled(row);
  return str(printable(own.text), "\t", fixed(own.probability, 4));
}

std::string TextPresentation::answer_json(std::span<const float> row, int64_t) const {
  Json j = Json::object();
  if (is_finite_row(row)) {
    const SpelledText own = spelled(row);
    j["text"] = own.text;
    j["probability"] = own.probability;
  } else {
    j["text"] = nullptr;
    j["not_finite"] = true;
  }
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<NamedValue> TextPresentation::said(std::span<const float> row, int64_t) const {
  const SpelledText own = spelled(row);
  return {{own.text, 0, static_cast<float>(own.probability)}};
}

std::vector<std::string> TextPresentation::output_names() const { return task_.card().names; }

AnswerColumns TextPresentation::answer_columns() const { return {.answers = {""}}; }

std::vector<AnswerCell> TextPresentation::answer_cells(std::span<const float> row) const {
  return {spelled(row).text};
}

std::vector<AnswerCell> TextPresentation::true_cells(const io::Dataset& dataset,
                                                     int64_t sample) const {
  return {dataset.text(sample)};
}

}  // namespace graft::train
