// Multilabel: each sample has any number of labels; binary cross-entropy of each, and the epoch of
// the highest mean average precision.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/train/recipe.h"
#include "graft/train/tasks/multilabel/label_evaluation.h"

namespace graft::train {

struct MultilabelOptions {
  std::vector<std::string> names{};  // of the labels
  // In the loss, of the samples that have the label; empty: 1.
  std::vector<double> positive_weight{};
  std::vector<double> thresholds{};  // empty: 0.5
  // What they are chosen for: the precision, or the recall, of each label; 0: the highest F1.
  double least_precision = 0, least_recall = 0;
};

// Targets are f32 [N,C] of 0 and 1.
class GRAFT_API Multilabel : public Task {
 public:
  explicit Multilabel(int64_t labels, MultilabelOptions options = {});

  std::string name() const override { return "multilabel"; }
  int64_t outputs() const override { return labels_; }
  std::string what() const override { return str(labels_, labels_ == 1 ? " label" : " labels"); }
  // The samples under the options' names, matched by name; labels that are not among them are
  // forgotten and said.
  std::shared_ptr<const io::Dataset> to_judge(
      const io::OpenedData& data, const std::string& path,
      const std::function<void(const std::string&)>& note) const override;
  Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const override;
  Targets made_up_targets(int64_t samples, const io::Preprocess& preprocess) const override;
  void check(const Targets& targets, const Shape& outputs) const override;
  void to(Device device) override;
  Tensor loss(const Tensor& outputs, const Targets& targets) const override;
  int64_t terms() const override { return labels_; }
  const std::vector<ScoreKind>& scores() const override;
  std::unique_ptr<Metric> metric() const override;
  // The share of the labels that are right, of those that are there and those that are not.
  const ScoreKind& running_score() const override;
  double running_sum(const Tensor& outputs, const Targets& targets) const override;
  TaskCard card() const override;
  // With the thresholds at which each label's F1 is highest.
  std::shared_ptr<const Task> chosen_by(const Metric& validation) const override;
  std::shared_ptr<const Task> answering_from(double least) const override;
  void choose_thresholds(double least_precision, double least_recall) override;
  std::unique_ptr<Presentation> presentation() const override;

 private:
  int64_t labels_;
  MultilabelOptions options_;
  bool thresholds_are_chosen_;
  Tensor extra_;  // f32 [1,C]: positive_weight - 1, where the network lies; undefined: none
};

// Of the samples that have a label: how many do not, for one that does. 1 for a label that none or
// all have.
GRAFT_API std::vector<double> positive_weights(const io::Dataset& dataset, int64_t labels);

GRAFT_API std::shared_ptr<Task> make_multilabel(const Recipe& recipe, const io::OpenedData& data);
GRAFT_API std::shared_ptr<Task> multilabel_of(const TaskCard& card);

}  // namespace graft::train
