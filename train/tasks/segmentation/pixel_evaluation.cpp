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

double part_of(int64_t part, int64_t all, double otherwise) {
  return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : otherwise;
}

// The mean of f over the classes that are there or were said; 0 where none is.
template <class F>
double mean_over(const std::vector<Overlap>& classes, F&& f) {
  double sum = 0;
  int64_t known = 0;
  for (const Overlap& o : classes) {
    if (o.is_empty()) continue;
    sum += f(o);
    ++known;
  }
  return known > 0 ? sum / static_cast<double>(known) : 0;
}

double dice_of(const std::vector<Overlap>& classes) {
  if (classes.size() == 2) return classes[1].dice();
  return mean_over(classes, [](const Overlap& o) { return o.dice(); });
}

double mean_iou_of(const std::vector<Overlap>& classes) {
  return mean_over(classes, [](const Overlap& o) { return o.iou(); });
}

bool has_pixels(const std::vector<Overlap>& classes) {
  return std::any_of(classes.begin(), classes.end(),
                     [](const Overlap& o) { return o.right + o.missed > 0; });
}

// The mean of f over the images that have a pixel that counts; 0 where none has.
template <class F>
double mean_of_images(const std::map<int64_t, std::vector<Overlap>>& images, F&& f) {
  double sum = 0;
  int64_t count = 0;
  for (const auto& [number, classes] : images) {
    if (!has_pixels(classes)) continue;
    sum += f(classes);
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

}  // namespace

double Overlap::iou() const { return part_of(right, right + missed + wrong, 1); }
double Overlap::dice() const { return part_of(2 * right, 2 * right + missed + wrong, 1); }

PixelEvaluation::PixelEvaluation(int64_t classes, double threshold, PixelLoss loss)
    : classes_(classes),
      threshold_(threshold),
      loss_(std::move(loss)),
      confusion_(static_cast<size_t>(classes * classes)) {
  if (classes != 2) return;
  of_first_.resize(kSteps);
  of_second_.resize(kSteps);
}

void PixelEvaluation::add_sample(const Sample& sample, std::vector<Overlap>& of_image) {
  const double least = logit_of(threshold_);
  const float* logits = sample.logits;
  for (int64_t i = 0; i < sample.pixels; ++i, logits += sample.pixel_step) {
    const uint8_t truth = sample.mask[i];
    if (truth == io::kIgnoredPixel) continue;
    int64_t said = 0;
    if (classes_ == 2) {
      said = static_cast<double>(*logits) >= least;
      ++(truth == 1 ? of_second_ : of_first_)[step_of(static_cast<double>(*logits))];
    } else {
      for (int64_t c = 1; c < classes_; ++c)
        if (logits[c * sample.map_step] > logits[said * sample.map_step]) said = c;
    }
    ++confusion_[static_cast<size_t>(truth * classes_ + said)];
    if (said == truth) {
      ++of_image[truth].right;
    } else {
      ++of_image[truth].missed;
      ++of_image[static_cast<size_t>(said)].wrong;
    }
  }
}

void PixelEvaluation::add(const Tensor& outputs, const Targets& targets) {
  const NoGradGuard no_grad;
  const Tensor logits = to_device(outputs, {});
  const Tensor& masks = targets.tensors.at(0);
  const Tensor losses = loss_.of_samples(logits, masks);  // checks the shapes
  const auto before = static_cast<int64_t>(losses_.size());
  for (int64_t n = 0; n < losses.size(0); ++n) losses_.push_back(losses.data<float>()[n]);
  not_finite_ += rows_not_finite(logits);
  const int64_t maps = logits.size(1), pixels = logits.size(2) * logits.size(3);
  const bool is_last = logits.format() == MemoryFormat::channels_last;
  for (int64_t n = 0; n < logits.size(0); ++n) {
    const uint8_t* mask = masks.data<uint8_t>() + n * pixels;
    for (int64_t i = 0; i < pixels; ++i)
      GRAFT_CHECK(mask[i] < classes_ || mask[i] == io::kIgnoredPixel,
                  "evaluation: a pixel of class ", int{mask[i]}, ", there are ", classes_);
    const int64_t image =
        targets.tensors.size() > 1 ? targets.tensors[1].data<int64_t>()[n] : before + n;
    std::vector<Overlap>& of_image = images_[image];
    of_image.resize(static_cast<size_t>(classes_));
    add_sample({logits.data<float>() + n * maps * pixels, is_last ? 1 : pixels, is_last ? maps : 1,
                mask, pixels},
               of_image);
  }
}

double PixelEvaluation::loss() const {
  if (losses_.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const float loss : losses_) sum += static_cast<double>(loss);
  return sum / static_cast<double>(losses_.size());
}

Overlap PixelEvaluation::overlap(int64_t c) const {
  Overlap o;
  o.right = confusion(c, c);
  for (int64_t other = 0; other < classes_; ++other) {
    if (other == c) continue;
    o.missed += confusion(c, other);
    o.wrong += confusion(other, c);
  }
  return o;
}

std::vector<Overlap> PixelEvaluation::overlaps() const {
  std::vector<Overlap> all;
  for (int64_t c = 0; c < classes_; ++c) all.push_back(overlap(c));
  return all;
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

double PixelEvaluation::dice() const { return dice_of(overlaps()); }
double PixelEvaluation::mean_iou() const { return mean_iou_of(overlaps()); }
double PixelEvaluation::iou() const { return classes_ == 2 ? overlap(1).iou() : mean_iou(); }

double PixelEvaluation::pixel_accuracy() const {
  int64_t right = 0;
  for (int64_t c = 0; c < classes_; ++c) right += confusion(c, c);
  return part_of(right, pixels(), 0);
}

double PixelEvaluation::dice_per_image() const { return mean_of_images(images_, dice_of); }
double PixelEvaluation::mean_iou_per_image() const { return mean_of_images(images_, mean_iou_of); }

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
    const double dice = part_of(2 * right, said + second, 0);
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
