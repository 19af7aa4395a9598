#include "graft/train/tasks/regression/regression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/class_names.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/functional/reduce.h"
#include "graft/train/tasks/regression/number_presentation.h"

namespace graft::train {
namespace {

NumberLoss number_loss(const std::string& name) {
  GRAFT_CHECK(name.empty() || name == "mse" || name == "l1" || name == "huber", "loss: '", name,
              "' is not for task regress, which has mse, l1 and huber");
  if (name == "l1") return NumberLoss::l1;
  return name == "huber" ? NumberLoss::huber : NumberLoss::mse;
}

// The scales that a card keeps; bad_input for what are none.
std::vector<NumberScale> scales_of(const TaskCard& card) {
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  const bool is_there = j.is_object() && j.contains("mean") && j.contains("deviation") &&
                        j.at("mean").is_array() && j.at("deviation").is_array();
  GRAFT_CHECK(is_there && std::ssize(j.at("mean")) == card.outputs &&
                  std::ssize(j.at("deviation")) == card.outputs,
              "the model card does not say what its ", card.outputs,
              " numbers were standardised by");
  std::vector<NumberScale> scales;
  for (size_t i = 0; i < j.at("mean").size(); ++i) {
    const auto &mean = j.at("mean")[i], &deviation = j.at("deviation")[i];
    GRAFT_CHECK(mean.is_number() && deviation.is_number() && deviation.get<double>() > 0,
                "the model card's numbers were standardised by what are no numbers");
    scales.push_back({mean.get<double>(), deviation.get<double>()});
  }
  return scales;
}

}  // namespace

Regression::Regression(int64_t numbers, RegressionOptions options)
    : numbers_(numbers), options_(std::move(options)) {
  GRAFT_CHECK(numbers >= 1, "regress: there are no numbers");
  if (options_.scales.empty()) options_.scales.resize(static_cast<size_t>(numbers));
  GRAFT_CHECK(std::ssize(options_.scales) == numbers, "regress: ", options_.scales.size(),
              " scales for ", numbers, " numbers");
}

std::shared_ptr<const io::Dataset> Regression::to_judge(
    const io::OpenedData& data, const std::string& path,
    const std::function<void(const std::string&)>& note) const {
  const std::vector<std::string>&own = options_.names, &there = data.classes;
  const std::string own_columns =
      own.empty() ? std::string() : str("; --label-column ", join(own, ","), " names the model's");
  GRAFT_CHECK(data.answers == io::AnswerKind::numbers, path, ": holds no numbers to predict");
  GRAFT_CHECK(std::ssize(there) == numbers_, path, ": has ", there.size(),
              there.size() == 1 ? " number" : " numbers", " for each image (",
              io::short_list(there), "), the model gives ", numbers_, own_columns);
  if (own.empty() || there == own) return data.val;
  GRAFT_CHECK(!std::is_permutation(own.begin(), own.end(), there.begin()), path,
              ": its numbers stand in another order (", io::short_list(there), ") than the model's",
              own_columns);
  note(str("the numbers are called ", io::short_list(there), ", the model's ", io::short_list(own),
           ": they are compared in this order"));
  return data.val;
}

Targets Regression::targets(const io::Dataset& dataset, std::span<const int64_t> samples) const {
  Tensor meant = Tensor::empty({std::ssize(samples), numbers_});
  float* to = meant.mutable_data<float>();
  for (const int64_t sample : samples) {
    const std::vector<double> numbers = dataset.numbers(sample);
    GRAFT_CHECK(std::ssize(numbers) == numbers_, dataset.name(sample), ": has ", numbers.size(),
                " numbers, ", numbers_, " are needed");
    for (size_t i = 0; i < numbers.size(); ++i) {
      const NumberScale& scale = options_.scales[i];
      *to++ = static_cast<float>((numbers[i] - scale.mean) / scale.deviation);
    }
  }
  return meant;
}

Targets Regression::made_up_targets(int64_t samples, const io::Preprocess&) const {
  return Tensor::zeros({samples, numbers_});
}

void Regression::check(const Targets& targets, const Shape& outputs) const {
  GRAFT_CHECK(targets.one().shape() == outputs, "regress: targets ", targets.one().shape(),
              " for outputs ", outputs);
}

// Huber: half the square within delta, and delta (|d| - delta / 2) beyond; with q = min(|d|, delta)
// both are q^2 / 2 + delta (|d| - q).
Tensor Regression::loss(const Tensor& outputs, const Targets& targets) const {
  const Tensor& meant = targets.one();
  if (options_.loss == NumberLoss::mse) return functional::mean_squared_error(outputs, meant);
  const Tensor length = functional::abs(functional::sub(outputs, meant));
  if (options_.loss == NumberLoss::l1) return functional::reduce(length, {ops::Reduce::mean});
  const Tensor within = functional::clip(length, 0, kHuberDelta);
  const auto times = [](double factor, const Tensor& x) {
    return functional::mul(x, Tensor::scalar(factor, x.dtype()));
  };
  const Tensor squares = times(0.5, functional::mul(within, within));
  const Tensor beyond = times(kHuberDelta, functional::sub(length, within));
  return functional::reduce(functional::add(squares, beyond), {ops::Reduce::mean});
}

const std::vector<ScoreKind>& Regression::scores() const {
  constexpr double huge = std::numeric_limits<double>::max();
  static const std::vector<ScoreKind> kinds{{"mae", 0, huge, false},
                                            {"loss", 0, huge, false},
                                            {"rmse", 0, huge, false},
                                            {"r2", -huge, 1, true}};
  return kinds;
}

std::unique_ptr<Metric> Regression::metric() const {
  return std::make_unique<NumberEvaluation>(options_.scales);
}

const ScoreKind& Regression::running_score() const { return scores()[0]; }

double Regression::running_sum(const Tensor& outputs, const Targets& targets) const {
  NumberEvaluation part(options_.scales);
  part.add(outputs, targets);
  return part.scores()[0] * static_cast<double>(part.samples());
}

TaskCard Regression::card() const {
  nlohmann::json j = nlohmann::json::object();
  j["name"] = name();
  j["mean"] = nlohmann::json::array();
  j["deviation"] = nlohmann::json::array();
  for (const NumberScale& scale : options_.scales) {
    j["mean"].push_back(scale.mean);
    j["deviation"].push_back(scale.deviation);
  }
  return {.json = j.dump(), .names = options_.names, .outputs = numbers_};
}

bool Regression::take_head_of(const TaskCard& card) {
  if (!is_same_head(this->card(), card)) return false;
  options_.scales = scales_of(card);
  return true;
}

std::unique_ptr<Presentation> Regression::presentation() const {
  return std::make_unique<NumberPresentation>(*this, options_.names, options_.scales);
}

std::vector<NumberScale> number_scales(const io::Dataset& dataset, int64_t numbers) {
  std::vector<NumberScale> scales;
  for (int64_t number = 0; number < numbers; ++number) {
    double mean = 0, around = 0;
    for (int64_t i = 0; i < dataset.size(); ++i) {
      const double value = dataset.numbers(i).at(static_cast<size_t>(number));
      const double off = value - mean;
      mean += off / static_cast<double>(i + 1);
      around += off * (value - mean);
    }
    const double deviation =
        dataset.size() > 0 ? std::sqrt(around / static_cast<double>(dataset.size())) : 0;
    scales.push_back({mean, deviation > 0 && std::isfinite(deviation) ? deviation : 1});
  }
  return scales;
}

std::shared_ptr<Task> make_regression(const Recipe& recipe, const io::OpenedData& data) {
  GRAFT_CHECK(data.answers == io::AnswerKind::numbers,
              "task: regress takes data of numbers, these have labels");
  GRAFT_CHECK(recipe.balance == "none", "balance: is for labels, these data have numbers");
  GRAFT_CHECK(recipe.label_smoothing == 0, "label smoothing: is for task classify");
  const int64_t numbers = std::ssize(data.classes);
  return std::make_shared<Regression>(
      numbers, RegressionOptions{.names = data.classes,
                                 .scales = number_scales(*data.train, numbers),
                                 .loss = number_loss(recipe.loss)});
}

std::shared_ptr<Task> regression_of(const TaskCard& card) {
  return std::make_shared<Regression>(
      card.outputs, RegressionOptions{.names = card.names, .scales = scales_of(card)});
}

}  // namespace graft::train
