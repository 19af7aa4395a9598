#include "graft/train/tasks/classification/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/tensor/device_backend.h"
#include "graft/train/metrics.h"

namespace graft::train {

std::vector<int64_t> predictions(const Tensor& given) {
  const Tensor logits = to_device(given, {});
  const int64_t rows = logits.size(0), classes = logits.size(1);
  std::vector<int64_t> result;
  visit_floating(logits.dtype(), "predictions", [&](auto zero) {
    const auto* x = logits.data<decltype(zero)>();
    for (int64_t n = 0; n < rows; ++n, x += classes) {
      int64_t best = 0;
      for (int64_t c = 1; c < classes; ++c)
        if (convert<double>(x[c]) > convert<double>(x[best])) best = c;
      result.push_back(best);
    }
  });
  return result;
}

namespace {

// Every second sample goes.
void thin_out(JudgedLogits& kept) {
  const auto width = kept.classes;
  size_t left = 0;
  for (size_t i = 0; i < kept.labels.size(); i += 2, ++left) {
    kept.labels[left] = kept.labels[i];
    std::copy_n(kept.logits.begin() + static_cast<int64_t>(i) * width, width,
                kept.logits.begin() + static_cast<int64_t>(left) * width);
  }
  kept.labels.resize(left);
  kept.logits.resize(left * static_cast<size_t>(width));
  kept.every *= 2;
}

}  // namespace

Evaluation::Evaluation(int64_t classes) : classes_(classes) {
  GRAFT_CHECK(classes >= 1 && classes <= (int64_t{1} << 24), "an evaluation of ", classes,
              " classes");
  confusion_.resize(static_cast<size_t>(classes * classes));
  logits_.classes = classes;
}

void Evaluation::check_class(int64_t index) const {
  GRAFT_CHECK(index >= 0 && index < classes_, "label ", index, " of ", classes_, " classes");
}

void Evaluation::add(const std::vector<int64_t>& predicted, const Tensor& labels) {
  GRAFT_CHECK(labels.rank() == 1 && labels.numel() == std::ssize(predicted),
              "evaluation: ", predicted.size(), " predictions for labels ", labels.shape());
  const int64_t* label = labels.data<int64_t>();
  for (size_t i = 0; i < predicted.size(); ++i) {
    check_class(label[i]);
    check_class(predicted[i]);
  }
  for (size_t i = 0; i < predicted.size(); ++i)
    ++confusion_[static_cast<size_t>(label[i] * classes_ + predicted[i])];
}

void Evaluation::add_logits(const Tensor& given, const Tensor& labels) {
  const Tensor logits = to_device(given, {});
  const std::vector<int64_t> predicted = predictions(logits);
  add(predicted, labels);
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const int64_t* label = labels.data<int64_t>();
  visit_floating(logits.dtype(), "cross-entropy", [&](auto zero) {
    const auto* x = logits.data<decltype(zero)>();
    for (int64_t n = 0; n < rows; ++n, x += classes) {
      double highest = convert<double>(x[0]), sum = 0;
      for (int64_t c = 1; c < classes; ++c) highest = std::max(highest, convert<double>(x[c]));
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(convert<double>(x[c]) - highest);
      const double loss = std::log(sum) + highest - convert<double>(x[label[n]]);
      loss_sum_ += loss;
      samples_.losses.push_back(static_cast<float>(loss));
      const int64_t said = predicted[static_cast<size_t>(n)];
      samples_.scores.push_back(said == label[n] ? 1 : 0);
      judged_.push_back({static_cast<int32_t>(label[n]), static_cast<int32_t>(said),
                         static_cast<float>(std::exp(convert<double>(x[said]) - highest) / sum),
                         static_cast<float>(std::exp(-loss))});
    }
  });
  keep_logits(logits, label);
  loss_count_ += rows;
  not_finite_ += rows_not_finite(logits);
}

void Evaluation::keep_logits(const Tensor& logits, const int64_t* label) {
  if (logits.size(1) != classes_) return;
  visit_floating(logits.dtype(), "logits", [&](auto zero) {
    const auto* x = logits.data<decltype(zero)>();
    for (int64_t n = 0; n < logits.size(0); ++n, x += classes_) {
      if ((loss_count_ + n) % logits_.every != 0) continue;
      logits_.labels.push_back(static_cast<int32_t>(label[n]));
      for (int64_t c = 0; c < classes_; ++c) logits_.logits.push_back(convert<float>(x[c]));
      if (std::ssize(logits_.logits) > kMostKeptLogits && logits_.samples() > 1) thin_out(logits_);
    }
  });
}

double Evaluation::loss() const {
  return loss_count_ ? loss_sum_ / static_cast<double>(loss_count_)
                     : std::numeric_limits<double>::quiet_NaN();
}

SampleWorths Evaluation::per_sample() const {
  return loss_count_ == samples() ? samples_ : SampleWorths{};
}

double Evaluation::f1(int64_t label) const {
  const double p = precision(label), r = recall(label);
  return p + r > 0 ? 2 * p * r / (p + r) : 0;
}

double Evaluation::macro_f1() const {
  double sum = 0;
  int64_t present = 0;
  for (int64_t label = 0; label < classes_; ++label) {
    int64_t images = 0;
    for (int64_t c = 0; c < classes_; ++c) images += confusion(label, c);
    if (images == 0) continue;
    ++present;
    sum += f1(label);
  }
  return present ? sum / static_cast<double>(present) : 0;
}

int64_t Evaluation::confusion(int64_t label, int64_t predicted) const {
  check_class(label);
  check_class(predicted);
  return confusion_[static_cast<size_t>(label * classes_ + predicted)];
}

int64_t Evaluation::samples() const {
  int64_t sum = 0;
  for (const int64_t count : confusion_) sum += count;
  return sum;
}

int64_t Evaluation::correct() const {
  int64_t sum = 0;
  for (int64_t c = 0; c < classes_; ++c) sum += confusion(c, c);
  return sum;
}

double Evaluation::accuracy() const {
  const int64_t all = samples();
  return all ? static_cast<double>(correct()) / static_cast<double>(all) : 0;
}

std::vector<std::vector<int64_t>> Evaluation::rows() const {
  std::vector<std::vector<int64_t>> rows;
  for (int64_t label = 0; label < classes_; ++label)
    rows.emplace_back(confusion_.begin() + label * classes_,
                      confusion_.begin() + (label + 1) * classes_);
  return rows;
}

double Evaluation::precision(int64_t label) const {
  int64_t predicted = 0;
  for (int64_t c = 0; c < classes_; ++c) predicted += confusion(c, label);
  return predicted ? static_cast<double>(confusion(label, label)) / static_cast<double>(predicted)
                   : 0;
}

double Evaluation::recall(int64_t label) const {
  int64_t present = 0;
  for (int64_t c = 0; c < classes_; ++c) present += confusion(label, c);
  return present ? static_cast<double>(confusion(label, label)) / static_cast<double>(present) : 0;
}

std::vector<double> Evaluation::scores() const { return {accuracy(), loss(), macro_f1()}; }

}  // namespace graft::train
