#include "graft/train/tasks/regression/number_evaluation.h"

#include <cmath>
#include <limits>

#include "graft/core/tensor/device_backend.h"
#include "graft/train/metrics.h"

namespace graft::train {

NumberEvaluation::NumberEvaluation(std::vector<NumberScale> scales)
    : scales_(std::move(scales)), sums_(scales_.size()) {
  GRAFT_CHECK(!scales_.empty(), "an evaluation of no numbers");
}

void NumberEvaluation::add(const Tensor& outputs, const Targets& targets) {
  const Tensor answers = to_device(outputs, {});
  const Tensor& meant = targets.one();
  GRAFT_CHECK(
      answers.rank() == 2 && answers.size(1) == numbers() && meant.shape() == answers.shape(),
      "evaluation: answers ", answers.shape(), " and targets ", meant.shape(), " for ", numbers(),
      " numbers");
  const std::vector<double> y = answers.to_doubles(), t = meant.to_doubles();
  const size_t before = worths_.scores.size();
  worths_.scores.resize(before + static_cast<size_t>(answers.size(0)));
  worths_.losses.resize(worths_.scores.size());
  const auto each = static_cast<double>(sums_.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t number = i % sums_.size();
    const auto count = static_cast<double>(samples_ + static_cast<int64_t>(i / sums_.size()) + 1);
    const NumberScale& scale = scales_[number];
    Sums& sums = sums_[number];
    const double error = (y[i] - t[i]) * scale.deviation;
    const double target = t[i] * scale.deviation + scale.mean;
    sums.absolute += std::abs(error);
    sums.square += error * error;
    const double unit = numbers() > 1 ? scale.deviation : 1, off_by = error / scale.deviation;
    const size_t sample = before + i / sums_.size();
    worths_.scores[sample] += static_cast<float>(std::abs(error) / unit / each);
    worths_.losses[sample] += static_cast<float>(off_by * off_by / each);
    const double off = target - sums.mean;
    sums.mean += off / count;
    sums.around_mean += off * (target - sums.mean);
  }
  samples_ += answers.size(0);
  not_finite_ += rows_not_finite(answers);
}

const NumberEvaluation::Sums& NumberEvaluation::at(int64_t number) const {
  GRAFT_CHECK(number >= 0 && number < numbers(), "number ", number, " of ", numbers());
  return sums_[static_cast<size_t>(number)];
}

double NumberEvaluation::mean_absolute_error(int64_t number) const {
  return samples_ > 0 ? at(number).absolute / static_cast<double>(samples_) : 0;
}

double NumberEvaluation::root_mean_squared_error(int64_t number) const {
  return samples_ > 0 ? std::sqrt(at(number).square / static_cast<double>(samples_)) : 0;
}

double NumberEvaluation::r2(int64_t number) const {
  const Sums& sums = at(number);
  if (sums.around_mean > 0) return 1 - sums.square / sums.around_mean;
  return sums.square == 0 ? 1 : 0;
}

double NumberEvaluation::mean_r2() const {
  double sum = 0;
  for (int64_t number = 0; number < numbers(); ++number) sum += r2(number);
  return sum / static_cast<double>(numbers());
}

double NumberEvaluation::loss() const {
  if (samples_ == 0) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (size_t i = 0; i < sums_.size(); ++i)
    sum += sums_[i].square / (scales_[i].deviation * scales_[i].deviation);
  return sum / static_cast<double>(samples_ * numbers());
}

std::vector<double> NumberEvaluation::scores() const {
  double mae = 0, rmse = 0;
  for (int64_t number = 0; number < numbers(); ++number) {
    const double unit = numbers() > 1 ? scales_[static_cast<size_t>(number)].deviation : 1;
    mae += mean_absolute_error(number) / unit;
    rmse += root_mean_squared_error(number) / unit;
  }
  const auto count = static_cast<double>(numbers());
  return {mae / count, loss(), rmse / count, mean_r2()};
}

}  // namespace graft::train
