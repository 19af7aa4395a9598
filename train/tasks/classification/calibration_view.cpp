#include "graft/train/tasks/classification/calibration_view.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

bool is_scaled(const ProbabilityPolicy& policy) { return policy.reading.temperature != 1; }

std::string seen(const JudgedLogits& judged) {
  return judged.every == 1 ? ""
                           : str(" (of every ", judged.every,
                                 "th image: ", thousands(judged.samples()), " in all)");
}

std::string error_text(const JudgedLogits& judged, const ProbabilityPolicy& policy) {
  const std::string error = fixed(reliability(judged, policy.reading).error, 4);
  if (!is_scaled(policy)) return error + seen(judged);
  return str(error, "; ", fixed(reliability(judged, {}).error, 4), " without the temperature ",
             fixed(policy.reading.temperature, 4), seen(judged));
}

// "0.9100 of the images are answered, 0.9800 of these rightly".
std::string answered_text(const Answered& found) {
  return str(fixed(found.coverage(), 4), " of the images",
             found.answered > 0 ? ", of which " + fixed(found.accuracy(), 4) + " rightly" : "");
}

nlohmann::ordered_json bins_json(const Reliability& found) {
  nlohmann::ordered_json bins = nlohmann::ordered_json::array();
  for (const ReliabilityBin& bin : found.bins)
    bins.push_back({{"images", bin.samples},
                    {"confidence", bin.samples ? bin.confidence : 0},
                    {"accuracy", bin.samples ? bin.accuracy : 0}});
  return bins;
}

// A square from (0,0), bottom left, to (1,1): what was right (bars, blue; what is missing to the
// stated probability, or beyond it, in red) against the probability that was stated.
std::string diagram(const Reliability& found, const std::string& title) {
  constexpr double side = 260, left = 56, top = 30, width = left + side + 12,
                   height = top + side + 34;
  const auto x = [](double v) { return fixed(left + side * v, 1); };
  const auto y = [](double v) { return fixed(top + side * (1 - v), 1); };
  std::string svg = str("<svg viewBox=\"0 0 ", fixed(width, 0), " ", fixed(height, 0),
                        "\" role=\"img\" aria-label=\"", escape(title), "\"><text x=\"",
                        fixed(left, 0), "\" y=\"16\" class=\"t\">", escape(title), "</text>");
  for (int tick = 0; tick <= 4; ++tick) {
    const double v = tick / 4.0;
    svg += str("<line class=\"g\" x1=\"", x(0), "\" x2=\"", x(1), "\" y1=\"", y(v), "\" y2=\"",
               y(v), "\"/><text class=\"a\" text-anchor=\"end\" x=\"", fixed(left - 6, 0),
               "\" y=\"", y(v), "\" dy=\"4\">", fixed(v, 2), "</text>");
    svg += str("<text class=\"a\" text-anchor=\"middle\" x=\"", x(v), "\" y=\"",
               fixed(top + side + 16, 0), "\">", fixed(v, 2), "</text>");
  }
  const auto count = static_cast<double>(found.bins.size());
  const auto bar = [&](size_t b, double low, double high, const char* color) {
    return str("<rect x=\"", x(static_cast<double>(b) / count), "\" width=\"",
               fixed(side / count - 1, 1), "\" y=\"", y(high), "\" height=\"",
               fixed(side * (high - low), 1), "\" fill=\"", color, "\"/>");
  };
  for (size_t b = 0; b < found.bins.size(); ++b) {
    const ReliabilityBin& bin = found.bins[b];
    if (bin.samples == 0) continue;
    svg += bar(b, 0, bin.accuracy, "#1e6fb4");
    svg += bar(b, std::min(bin.accuracy, bin.confidence), std::max(bin.accuracy, bin.confidence),
               "#b4481e88");
  }
  svg += str("<line stroke=\"#666\" stroke-dasharray=\"4 3\" x1=\"", x(0), "\" x2=\"", x(1),
             "\" y1=\"", y(0), "\" y2=\"", y(1), "\"/>");
  return svg + "</svg>";
}

}  // namespace

std::string calibration_text(const JudgedLogits& judged, const ProbabilityPolicy& policy) {
  if (judged.samples() == 0) return "";
  std::string text = str("expected calibration error ", error_text(judged, policy), "\n");
  if (!policy.thresholds.empty())
    text += str("answered: ", answered_text(answered_at(judged, policy.reading, policy.thresholds)),
                "; the others are \"don't know\"", seen(judged), "\n");
  return text;
}

std::string calibration_json(const JudgedLogits& judged, const ProbabilityPolicy& policy) {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  if (judged.samples() == 0) return j.dump();
  const Reliability found = reliability(judged, policy.reading);
  nlohmann::ordered_json& calibration = j["calibration"] = nlohmann::ordered_json::object();
  calibration["expected_calibration_error"] = found.error;
  calibration["temperature"] = policy.reading.temperature;
  if (is_scaled(policy))
    calibration["expected_calibration_error_at_temperature_1"] = reliability(judged, {}).error;
  calibration["images"] = found.samples;
  calibration["bins"] = bins_json(found);
  if (policy.thresholds.empty()) return j.dump();
  const Answered answered = answered_at(judged, policy.reading, policy.thresholds);
  nlohmann::ordered_json& part = j["answered"] = nlohmann::ordered_json::object();
  part["images"] = answered.answered;
  part["of"] = answered.samples;
  part["coverage"] = answered.coverage();
  part["accuracy"] = answered.answered > 0 ? nlohmann::ordered_json(answered.accuracy())
                                           : nlohmann::ordered_json(nullptr);
  part["thresholds"] = policy.thresholds;
  return j.dump();
}

std::vector<std::pair<std::string, std::string>> calibration_facts(
    const JudgedLogits& judged, const ProbabilityPolicy& policy) {
  if (judged.samples() == 0) return {};
  std::vector<std::pair<std::string, std::string>> facts = {
      {"expected calibration error", error_text(judged, policy)}};
  if (!policy.thresholds.empty())
    facts.emplace_back("answered",
                       answered_text(answered_at(judged, policy.reading, policy.thresholds)));
  return facts;
}

std::string calibration_html(const JudgedLogits& judged, const ProbabilityPolicy& policy) {
  if (judged.samples() == 0) return "";
  std::string html =
      "\n<h2>Calibration (validation)</h2>\n<p>How often answers of each probability are right: on "
      "the dashed line a probability of 0.8 is right in 8 of 10 cases. The expected calibration "
      "error is the mean distance from that line.";
  if (is_scaled(policy))
    html += str(" The temperature ", fixed(policy.reading.temperature, 4),
                " was chosen on the validation part of the training, where it flatters.");
  html += "</p>\n<div class=\"two\">";
  const auto figure = [&](const Reading& reading, const std::string& what) {
    const Reliability found = reliability(judged, reading);
    html += diagram(found, str(what, fixed(found.error, 4)));
  };
  if (is_scaled(policy)) figure({}, "Before: error ");
  figure(policy.reading, is_scaled(policy) ? "As answered: error " : "Error ");
  return html + "</div>";
}

}  // namespace graft::train
