// What a classifier's probabilities are worth: temperature scaling, the expected calibration error,
// and from which probability on an answer is given.
// Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks",
// ICML 2017.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// Logits of a part's samples and what they should have been. Of a part with many numbers every
// second, fourth ... sample is kept, so that memory stays bounded.
struct GRAFT_API JudgedLogits {
  int64_t classes = 0;
  int64_t every = 1;              // samples 0, every, 2 every ... of those heard
  std::vector<int32_t> labels{};  // [samples]
  std::vector<float> logits{};    // [samples, classes]

  int64_t samples() const { return static_cast<int64_t>(labels.size()); }
  std::span<const float> row(int64_t sample) const;
};

// How logits become probabilities: softmax of logits / temperature, or a sigmoid of each logit.
struct Reading {
  double temperature = 1;
  bool sigmoid = false;
};
// Of one sample's logits [classes]; sums in double.
GRAFT_API std::vector<double> probabilities(std::span<const float> logits, const Reading& reading);

inline constexpr double kLowestTemperature = 0.05, kHighestTemperature = 20;

// The temperature of the least mean cross-entropy of softmax(logits / temperature).
struct Temperature {
  double value = 1;        // 1: left as it is
  std::string refusal{};   // why it was left; "": it was fitted
  double loss_before = 0;  // mean cross-entropy at temperature 1
  double loss_after = 0;   // and at `value`
};
// By Newton's method on 1 / temperature, in which the cross-entropy is convex, within a bracket.
// Samples whose logits are not finite are left out. Refused, with the reason: no mistakes among the
// samples (the best temperature would be 0, every answer certain), logits that are no better than
// chance, a temperature outside of [kLowestTemperature, kHighestTemperature].
GRAFT_API Temperature fit_temperature(const JudgedLogits& judged);

struct ReliabilityBin {
  int64_t samples = 0;
  double confidence = 0;  // mean probability of what was predicted
  double accuracy = 0;    // share of right answers
};
struct Reliability {
  std::vector<ReliabilityBin> bins{};  // of equal width: bin b has probabilities in (b/B, (b+1)/B]
  double error = 0;  // expected calibration error: the mean of |accuracy - confidence| by samples
  int64_t samples = 0;
};
GRAFT_API Reliability reliability(const JudgedLogits& judged, const Reading& reading,
                                  int64_t bins = 15);

// A probability for each class, from which on it is answered; below, the answer is "don't know".
struct ClassThresholds {
  std::vector<double> values{};   // [classes], each in [0,1]
  std::vector<int64_t> missed{};  // classes that cannot keep what was asked for
};
// The lowest at which at least `least` of the answers of a class are right. Of a class that has no
// such threshold, or is never predicted, it is 1.
GRAFT_API ClassThresholds thresholds_of_precision(const JudgedLogits& judged,
                                                  const Reading& reading, double least);
// The highest at which at least `least` of a class's samples are answered rightly; 0 where that
// cannot be.
GRAFT_API ClassThresholds thresholds_of_recall(const JudgedLogits& judged, const Reading& reading,
                                               double least);

// What is answered at such thresholds.
struct GRAFT_API Answered {
  int64_t samples = 0, answered = 0, right = 0;

  double coverage() const;  // share that is answered
  double accuracy() const;  // of those; NaN when nothing is
};
GRAFT_API Answered answered_at(const JudgedLogits& judged, const Reading& reading,
                               const std::vector<double>& thresholds);

}  // namespace graft::train
