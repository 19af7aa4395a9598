#include "graft/train/tasks/detection/box_evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/train/metrics.h"
#include "graft/train/tasks/detection/box_maps.h"

namespace graft::train {
namespace {

constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

double sum_on_host(const Tensor& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.numel(); ++i) sum += static_cast<double>(x.data<float>()[i]);
  return sum;
}

}  // namespace

std::vector<io::LabelledBox> objects_in(std::span<const float> row) {
  std::vector<io::LabelledBox> objects;
  for (size_t i = 0; i + kObjectNumbers <= row.size(); i += kObjectNumbers) {
    const auto number = [&](size_t n) { return static_cast<double>(row[i + n]); };
    if (number(4) < 0) continue;
    objects.push_back({.box = {number(0), number(1), number(2), number(3)},
                       .label = static_cast<int64_t>(number(4)),
                       .difficult = number(5) == 1,
                       .crowd = number(5) == 2,
                       .area = number(6)});
  }
  return objects;
}

BoxEvaluation::BoxEvaluation(int64_t classes, double confidence)
    : classes_(classes), confidence_(confidence), loss_(classes) {}

void BoxEvaluation::add(const Tensor& outputs, const Targets& targets) {
  const NoGradGuard no_grad;
  const Tensor maps = to_device(outputs, {}).to(MemoryFormat::contiguous);
  const Tensor &places = targets.tensors.at(0), &objects = targets.tensors.at(1);
  loss_sum_ += sum_on_host(loss_.of_samples(maps, places));  // checks the shapes
  places_ += sum_on_host(loss_.places(places));
  not_finite_ += rows_not_finite(maps);
  const auto numbers = static_cast<size_t>(maps.numel() / maps.size(0)),
             width = static_cast<size_t>(objects.numel() / maps.size(0));
  for (int64_t n = 0; n < maps.size(0); ++n) {
    const auto i = static_cast<size_t>(n);
    const std::span map(maps.data<float>() + i * numbers, numbers);
    images_.push_back({found_boxes(map, classes_, maps.size(2), maps.size(3)),
                       objects_in({objects.data<float>() + i * width, width})});
  }
  summary_.reset();
}

double BoxEvaluation::loss() const { return places_ > 0 ? loss_sum_ / places_ : kNotKnown; }
double BoxEvaluation::score_so_far() const { return kNotKnown; }

const PrecisionSummary& BoxEvaluation::summary() const {
  if (!summary_) summary_ = average_precisions(images_, classes_);
  return *summary_;
}

int64_t BoxEvaluation::objects(int64_t label) const {
  int64_t count = 0;
  for (const JudgedImage& image : images_)
    for (const io::LabelledBox& object : image.truth)
      count += object.label == label && object.counts();
  return count;
}

double BoxEvaluation::count_error(int64_t label) const {
  int64_t off = 0;
  for (const JudgedImage& image : images_) {
    int64_t said = 0, there = 0;
    for (const FoundBox& found : image.found)
      said += found.label == label && found.score >= confidence_;
    for (const io::LabelledBox& object : image.truth)
      there += object.label == label && object.counts();
    off += std::abs(said - there);
  }
  return images_.empty() ? 0 : static_cast<double>(off) / static_cast<double>(samples());
}

double BoxEvaluation::count_error() const {
  double sum = 0;
  for (int64_t c = 0; c < classes_; ++c) sum += count_error(c);
  return sum;
}

std::vector<double> BoxEvaluation::scores() const {
  const PrecisionSummary& s = summary();
  std::vector<double> scores{s.voc50, loss(), s.ap, s.ap75, s.voc07_50, s.recall100, count_error()};
  for (const double of_class : s.voc50_of_class) scores.push_back(std::max(of_class, 0.0));
  return scores;
}

}  // namespace graft::train
