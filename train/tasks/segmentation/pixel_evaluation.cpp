#include "graft/train/tasks/segmentation/pixel_evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/dataset.h"
#include "graft/train/metrics.h"

namespace graft::train {
namespace {

constexpr int64_t kSteps = 65536;  // of logits in [-kLogits, kLogits)
constexpr double kLogits = 20;
constexpr double kStepsAUnit = static_cast<double>(kSteps) / (2 * kLogits);

size_t step_of(double logit) {
  const double at = std::floor((logit + kLogits) * kStepsAUnit);
  if (!(at > 0)) return 0;  // NaN too: it has no place in an order
  return static_cast<size_t>(std::min(at, static_cast<double>(kSteps - 1)));
}
double logit_of_step(size_t step) { return static_cast<double>(step) / kStepsAUnit - kLogits; }
double logit_of(double probability) { return std::log(probability / (1 - probability)); }

double share(int64_t part, int64_t all, double otherwise) {
  return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : otherwise;
}

// Of [truth][said], as the overlap of one class.
Overlap overlap_in(const std::vector<int64_t>& confusion, int64_t classes, int64_t c) {
  Overlap o;
  for (int64_t other = 0; other < classes; ++other) {
    if (other == c) continue;
    o.missed += confusion[static_cast<size_t>(c * classes + other)];
    o.wrong += confusion[static_cast<size_t>(other * classes + c)];
  }
  o.right = confusion[static_cast<size_t>(c * classes + c)];
  return o;
}

// The mean of f over the classes that are there or were said; 0 where none is.
template <class F>
double mean_over(const std::vector<int64_t>& confusion, int64_t classes, F&& f) {
  double sum = 0;
  int64_t known = 0;
  for (int64_t c = 0; c < classes; ++c) {
    const Overlap o = overlap_in(confusion, classes, c);
    if (o.is_empty()) continue;
    sum += f(o);
    ++known;
  }
  return known > 0 ? sum / static_cast<double>(known) : 0;
}

double dice_in(const std::vector<int64_t>& confusion, int64_t classes) {
  if (classes == 2) return overlap_in(confusion, 2, 1).dice();
  return mean_over(confusion, classes, [](const Overlap& o) { return o.dice(); });
}

double mean_iou_in(const std::vector<int64_t>& confusion, int64_t classes) {
  return mean_over(confusion, classes, [](const Overlap& o) { return o.iou(); });
}

}  // namespace

double Overlap::iou() const { return share(right, right + missed + wrong, 1); }
double Overlap::dice() const { return share(2 * right, 2 * right + missed + wrong, 1); }

PixelEvaluation::PixelEvaluation(int64_t classes, double threshold, PixelLoss loss)
    : classes_(classes),
      threshold_(threshold),
      loss_(std::move(loss)),
      confusion_(static_cast<size_t>(classes * classes)) {
  if (classes != 2) return;
  of_first_.resize(kSteps);
  of_second_.resize(kSteps);
}

void PixelEvaluation::add_sample(const float* logits, int64_t map_step, int64_t pixel_step,
                                 const uint8_t* mask, int64_t pixels) {
  std::vector<int64_t> own(confusion_.size());
  const double least = logit_of(threshold_);
  for (int64_t i = 0; i < pixels; ++i, logits += pixel_step) {
    const uint8_t truth = mask[i];
    if (truth == io::kIgnoredPixel) continue;
    int64_t said = 0;
    if (classes_ == 2) {
      said = static_cast<double>(*logits) >= least;
      ++(truth == 1 ? of_second_ : of_first_)[step_of(static_cast<double>(*logits))];
    } else {
      for (int64_t c = 1; c < classes_; ++c)
        if (logits[c * map_step] > logits[said * map_step]) said = c;
    }
    ++own[static_cast<size_t>(truth * classes_ + said)];
  }
  const bool has_pixels = std::any_of(own.begin(), own.end(), [](int64_t n) { return n > 0; });
  if (!has_pixels) return;
  for (size_t i = 0; i < own.size(); ++i) confusion_[i] += own[i];
  dice_sum_ += dice_in(own, classes_);
  iou_sum_ += mean_iou_in(own, classes_);
  ++images_;
}

void PixelEvaluation::add(const Tensor& outputs, const Targets& targets) {
  const NoGradGuard no_grad;
  const Tensor logits = to_device(outputs, {});
  const Tensor& masks = targets.one();
  const Tensor losses = loss_.of_samples(logits, masks);  // checks the shapes
  for (int64_t n = 0; n < losses.size(0); ++n) losses_.push_back(losses.data<float>()[n]);
  not_finite_ += rows_not_finite(logits);
  const int64_t maps = logits.size(1), pixels = logits.size(2) * logits.size(3);
  const bool is_last = logits.format() == MemoryFormat::channels_last;
  for (int64_t n = 0; n < logits.size(0); ++n) {
    const uint8_t* mask = masks.data<uint8_t>() + n * pixels;
    for (int64_t i = 0; i < pixels; ++i)
      GRAFT_CHECK(mask[i] < classes_ || mask[i] == io::kIgnoredPixel,
                  "evaluation: a pixel of class ", int{mask[i]}, ", there are ", classes_);
    add_sample(logits.data<float>() + n * maps * pixels, is_last ? 1 : pixels, is_last ? maps : 1,
               mask, pixels);
  }
}

double PixelEvaluation::loss() const {
  if (losses_.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const float loss : losses_) sum += static_cast<double>(loss);
  return sum / static_cast<double>(losses_.size());
}

Overlap PixelEvaluation::overlap(int64_t c) const {
  GRAFT_CHECK(c >= 0 && c < classes_, "class ", c, " of ", classes_);
  return overlap_in(confusion_, classes_, c);
}

int64_t PixelEvaluation::confusion(int64_t truth, int64_t said) const {
  GRAFT_CHECK(truth >= 0 && truth < classes_ && said >= 0 && said < classes_, "classes ", truth,
              " and ", said, " of ", classes_);
  return confusion_[static_cast<size_t>(truth * classes_ + said)];
}

int64_t PixelEvaluation::pixels() const {
  int64_t all = 0;
  for (const int64_t count : confusion_) all += count;
  return all;
}

double PixelEvaluation::dice() const { return dice_in(confusion_, classes_); }
double PixelEvaluation::mean_iou() const { return mean_iou_in(confusion_, classes_); }
double PixelEvaluation::iou() const {
  return classes_ == 2 ? overlap_in(confusion_, 2, 1).iou() : mean_iou();
}

double PixelEvaluation::pixel_accuracy() const {
  int64_t right = 0;
  for (int64_t c = 0; c < classes_; ++c) right += confusion(c, c);
  return share(right, pixels(), 0);
}

double PixelEvaluation::dice_per_image() const {
  return images_ > 0 ? dice_sum_ / static_cast<double>(images_) : 0;
}
double PixelEvaluation::mean_iou_per_image() const {
  return images_ > 0 ? iou_sum_ / static_cast<double>(images_) : 0;
}

double PixelEvaluation::auc() const {
  double below = 0, sum = 0, first = 0, second = 0;
  for (size_t i = 0; i < of_first_.size(); ++i) {
    const auto a = static_cast<double>(of_first_[i]), b = static_cast<double>(of_second_[i]);
    sum += b * (below + a / 2);
    below += a;
    first += a;
    second += b;
  }
  return first > 0 && second > 0 ? sum / first / second : 0.5;
}

double PixelEvaluation::auc_bound() const {
  double sum = 0, first = 0, second = 0;
  for (size_t i = 0; i < of_first_.size(); ++i) {
    const auto a = static_cast<double>(of_first_[i]), b = static_cast<double>(of_second_[i]);
    sum += a * b / 2;
    first += a;
    second += b;
  }
  return first > 0 && second > 0 ? sum / first / second : 0;
}

double PixelEvaluation::best_threshold() const {
  int64_t second = 0;
  for (const int64_t count : of_second_) second += count;
  double best = -1, threshold = 0.5;
  int64_t right = 0, said = 0;
  for (size_t i = of_second_.size(); i-- > 1 && second > 0;) {
    right += of_second_[i];
    said += of_first_[i] + of_second_[i];
    const double dice = share(2 * right, said + second, 0);
    const double at = 1 / (1 + std::exp(-logit_of_step(i)));
    if (dice < best || (dice == best && std::abs(at - 0.5) >= std::abs(threshold - 0.5))) continue;
    best = dice;
    threshold = at;
  }
  return threshold;
}

double PixelEvaluation::dice_at(double threshold) const {
  const size_t least = step_of(logit_of(threshold) + 1e-9);
  Overlap o;
  for (size_t i = 0; i < of_second_.size(); ++i) {
    (i >= least ? o.right : o.missed) += of_second_[i];
    if (i >= least) o.wrong += of_first_[i];
  }
  return o.dice();
}

std::vector<double> PixelEvaluation::scores() const {
  std::vector<double> scores{dice(),           loss(),           mean_iou(),
                             pixel_accuracy(), dice_per_image(), mean_iou_per_image()};
  if (classes_ == 2) {
    scores.push_back(iou());
    scores.push_back(auc());
  }
  for (int64_t c = 0; c < classes_; ++c) scores.push_back(overlap(c).iou());
  return scores;
}

}  // namespace graft::train
