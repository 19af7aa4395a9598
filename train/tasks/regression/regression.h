// Regression: one or several numbers for each sample, and the epoch of the lowest mean absolute
// error.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/train/recipe.h"
#include "graft/train/tasks/regression/number_evaluation.h"

namespace graft::train {

enum class NumberLoss : unsigned char { mse, l1, huber };
inline constexpr double kHuberDelta = 1;  // in deviations: where squares give way to lengths

struct RegressionOptions {
  std::vector<std::string> names{};   // of the numbers
  std::vector<NumberScale> scales{};  // what the network's outputs are standardised by; empty: as
                                      // they are
  NumberLoss loss = NumberLoss::mse;
};

// Targets are f32 [N,C], standardised: outputs near 0 and 1 are what fresh heads give.
class GRAFT_API Regression : public Task {
 public:
  explicit Regression(int64_t numbers, RegressionOptions options = {});

  std::string name() const override { return "regress"; }
  int64_t outputs() const override { return numbers_; }
  std::string what() const override {
    return str(numbers_, numbers_ == 1 ? " number" : " numbers");
  }
  // bad_input unless the data have as many numbers, and where they are the model's in another
  // order. Other names are said.
  std::shared_ptr<const io::Dataset> to_judge(
      const io::OpenedData& data, const std::string& path,
      const std::function<void(const std::string&)>& note) const override;
  Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const override;
  Targets made_up_targets(int64_t samples, const io::Preprocess& preprocess) const override;
  void check(const Targets& targets, const Shape& outputs) const override;
  Tensor loss(const Tensor& outputs, const Targets& targets) const override;
  int64_t terms() const override { return numbers_; }
  const std::vector<ScoreKind>& scores() const override;
  std::unique_ptr<Metric> metric() const override;
  const ScoreKind& running_score() const override;
  double running_sum(const Tensor& outputs, const Targets& targets) const override;
  TaskCard card() const override;
  // Its outputs then are standardised as that model's were.
  bool take_head_of(const TaskCard& card) override;
  std::unique_ptr<Presentation> presentation() const override;

  const std::vector<NumberScale>& scales() const { return options_.scales; }

 private:
  int64_t numbers_;
  RegressionOptions options_;
};

// Mean and deviation of each number; a number that is always the same has deviation 1.
GRAFT_API std::vector<NumberScale> number_scales(const io::Dataset& dataset, int64_t numbers);

GRAFT_API std::shared_ptr<Task> make_regression(const Recipe& recipe, const io::OpenedData& data);
GRAFT_API std::shared_ptr<Task> regression_of(const TaskCard& card);

}  // namespace graft::train
