#include "graft/train/tasks/classification/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/base/error.h"

namespace graft::train {
namespace {

// An answer: the class of the highest probability, the first of equals, and that probability.
struct TopAnswer {
  int32_t predicted = 0;
  double confidence = 0;
};

TopAnswer top_answer(std::span<const float> logits, const Reading& reading) {
  const std::vector<double> p = probabilities(logits, reading);
  const auto place = std::max_element(p.begin(), p.end()) - p.begin();
  return {static_cast<int32_t>(place), p[static_cast<size_t>(place)]};
}

bool is_finite_row(std::span<const float> row) {
  return std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); });
}

// Of the cross-entropy's sum over samples as a function of beta = 1 / temperature: its value, and
// first and second derivative, which are the mean of (E[z] - z_label) and the variance of z under
// softmax(beta z).
struct Slope {
  double loss = 0, first = 0, second = 0;
};

Slope slope_at(const JudgedLogits& judged, const std::vector<int64_t>& finite, double beta) {
  Slope sum;
  for (const int64_t sample : finite) {
    const std::span<const float> z = judged.row(sample);
    const double highest = *std::max_element(z.begin(), z.end());
    double weights = 0, mean = 0, square = 0;
    for (const float value : z) {
      const double off = value - highest, weight = std::exp(beta * off);
      weights += weight;
      mean += weight * off;
      square += weight * off * off;
    }
    mean /= weights;
    const double of_label = z[static_cast<size_t>(judged.labels[static_cast<size_t>(sample)])];
    sum.loss += std::log(weights) - beta * (of_label - highest);
    sum.first += mean - (of_label - highest);
    sum.second += square / weights - mean * mean;
  }
  const auto count = static_cast<double>(finite.size());
  return {sum.loss / count, sum.first / count, sum.second / count};
}

// Where the first derivative, which rises, is zero; it is negative at `low` and positive at `high`.
double zero_between(const JudgedLogits& judged, const std::vector<int64_t>& finite, double low,
                    double high) {
  double beta = std::clamp(1.0, low, high);
  for (int step = 0; step < 200; ++step) {
    const Slope here = slope_at(judged, finite, beta);
    (here.first < 0 ? low : high) = beta;
    double next = here.second > 0 ? beta - here.first / here.second : low;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (std::abs(next - beta) <= 1e-12 * beta) return next;
    beta = next;
  }
  return beta;
}

// The answers of each class in falling order of confidence, with whether they are right.
struct ClassAnswer {
  double confidence;
  bool is_right;
};
std::vector<std::vector<ClassAnswer>> answers_by_class(const JudgedLogits& judged,
                                                       const Reading& reading) {
  std::vector<std::vector<ClassAnswer>> of_class(static_cast<size_t>(judged.classes));
  for (int64_t sample = 0; sample < judged.samples(); ++sample) {
    if (!is_finite_row(judged.row(sample))) continue;
    const TopAnswer top = top_answer(judged.row(sample), reading);
    of_class[static_cast<size_t>(top.predicted)].push_back(
        {top.confidence, top.predicted == judged.labels[static_cast<size_t>(sample)]});
  }
  for (auto& answers : of_class)
    std::stable_sort(
        answers.begin(), answers.end(),
        [](const ClassAnswer& a, const ClassAnswer& b) { return a.confidence > b.confidence; });
  return of_class;
}

// Between the last that is answered and the first that is not, so that rounding decides nothing; 0
// where all are answered. `count` is at least 1 and ends a group of equals.
double threshold_after(const std::vector<ClassAnswer>& answers, size_t count) {
  if (count == answers.size()) return 0;
  return (answers[count - 1].confidence + answers[count].confidence) / 2;
}

bool ends_a_group(const std::vector<ClassAnswer>& answers, size_t count) {
  return count == answers.size() || answers[count].confidence < answers[count - 1].confidence;
}

}  // namespace

std::span<const float> JudgedLogits::row(int64_t sample) const {
  return {logits.data() + sample * classes, static_cast<size_t>(classes)};
}

std::vector<double> probabilities(std::span<const float> logits, const Reading& reading) {
  std::vector<double> p(logits.begin(), logits.end());
  if (reading.sigmoid) {
    for (double& value : p) value = 1 / (1 + std::exp(-value));
    return p;
  }
  const double highest = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& value : p) sum += value = std::exp((value - highest) / reading.temperature);
  for (double& value : p) value /= sum;
  return p;
}

Temperature fit_temperature(const JudgedLogits& judged) {
  std::vector<int64_t> finite;
  bool has_mistakes = false;
  for (int64_t sample = 0; sample < judged.samples(); ++sample) {
    const std::span<const float> z = judged.row(sample);
    if (!is_finite_row(z)) continue;
    finite.push_back(sample);
    const float of_label = z[static_cast<size_t>(judged.labels[static_cast<size_t>(sample)])];
    has_mistakes = has_mistakes || of_label < *std::max_element(z.begin(), z.end());
  }
  Temperature found;
  if (finite.empty()) {
    found.refusal = "there are no validation images with finite answers";
    return found;
  }
  found.loss_before = found.loss_after = slope_at(judged, finite, 1).loss;
  const double low = 1 / kHighestTemperature, high = 1 / kLowestTemperature;
  if (!has_mistakes)
    found.refusal =
        "every validation image is answered rightly, so that they cannot tell how "
        "often an answer is wrong";
  else if (slope_at(judged, finite, low).first >= 0)
    found.refusal = "on the validation images the answers are hardly better than chance";
  else if (slope_at(judged, finite, high).first <= 0)
    found.refusal = "its best value is below 0.05: the network's outputs hardly differ";
  if (!found.refusal.empty()) return found;
  const double beta = zero_between(judged, finite, low, high);
  found.value = 1 / beta;
  found.loss_after = slope_at(judged, finite, beta).loss;
  return found;
}

Reliability reliability(const JudgedLogits& judged, const Reading& reading, int64_t bins) {
  GRAFT_CHECK(bins >= 1 && bins <= 10000, "reliability: ", bins, " bins");
  Reliability found;
  found.bins.resize(static_cast<size_t>(bins));
  for (int64_t sample = 0; sample < judged.samples(); ++sample) {
    if (!is_finite_row(judged.row(sample))) continue;
    const TopAnswer top = top_answer(judged.row(sample), reading);
    const auto place = static_cast<int64_t>(std::ceil(top.confidence * static_cast<double>(bins)));
    ReliabilityBin& bin = found.bins[static_cast<size_t>(std::clamp<int64_t>(place, 1, bins) - 1)];
    ++bin.samples;
    bin.confidence += top.confidence;
    bin.accuracy += top.predicted == judged.labels[static_cast<size_t>(sample)];
    ++found.samples;
  }
  for (ReliabilityBin& bin : found.bins) {
    if (bin.samples == 0) continue;
    found.error += std::abs(bin.accuracy - bin.confidence) / static_cast<double>(found.samples);
    bin.confidence /= static_cast<double>(bin.samples);
    bin.accuracy /= static_cast<double>(bin.samples);
  }
  return found;
}

ClassThresholds thresholds_of_precision(const JudgedLogits& judged, const Reading& reading,
                                        double least) {
  ClassThresholds found;
  for (const auto& answers : answers_by_class(judged, reading)) {
    size_t right = 0, kept = 0;
    for (size_t count = 1; count <= answers.size(); ++count) {
      right += answers[count - 1].is_right;
      if (ends_a_group(answers, count) &&
          static_cast<double>(right) >= least * static_cast<double>(count))
        kept = count;
    }
    if (kept == 0) found.missed.push_back(std::ssize(found.values));
    found.values.push_back(kept == 0 ? 1 : threshold_after(answers, kept));
  }
  return found;
}

ClassThresholds thresholds_of_recall(const JudgedLogits& judged, const Reading& reading,
                                     double least) {
  std::vector<int64_t> samples(static_cast<size_t>(judged.classes));
  for (const int32_t label : judged.labels) ++samples[static_cast<size_t>(label)];
  ClassThresholds found;
  for (const auto& answers : answers_by_class(judged, reading)) {
    const auto all = static_cast<double>(samples[found.values.size()]);
    size_t right = 0, kept = 0;
    for (size_t count = 1; count <= answers.size() && kept == 0; ++count) {
      right += answers[count - 1].is_right;
      if (ends_a_group(answers, count) && right > 0 && static_cast<double>(right) >= least * all)
        kept = count;
    }
    if (kept == 0) found.missed.push_back(std::ssize(found.values));
    found.values.push_back(kept == 0 ? 0 : threshold_after(answers, kept));
  }
  return found;
}

double Answered::coverage() const {
  return samples ? static_cast<double>(answered) / static_cast<double>(samples) : 0;
}

double Answered::accuracy() const {
  return answered ? static_cast<double>(right) / static_cast<double>(answered)
                  : std::numeric_limits<double>::quiet_NaN();
}

Answered answered_at(const JudgedLogits& judged, const Reading& reading,
                     const std::vector<double>& thresholds) {
  Answered found;
  for (int64_t sample = 0; sample < judged.samples(); ++sample) {
    ++found.samples;
    if (!is_finite_row(judged.row(sample))) continue;
    const TopAnswer top = top_answer(judged.row(sample), reading);
    if (top.confidence < thresholds.at(static_cast<size_t>(top.predicted))) continue;
    ++found.answered;
    found.right += top.predicted == judged.labels[static_cast<size_t>(sample)];
  }
  return found;
}

}  // namespace graft::train
