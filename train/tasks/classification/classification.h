// Classification: each sample is of one class; cross-entropy, and the epoch of
// the highest accuracy.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/train/features.h"
#include "graft/train/recipe.h"
#include "graft/train/tasks/classification/evaluation.h"

namespace graft::train {

struct ClassificationOptions {
  double label_smoothing = 0;
  // The loss is focal instead of cross-entropy: each class's term times (1 - p)^2, p its
  // probability. Source: Lin et al., Focal Loss for Dense Object Detection (2017), gamma 2.
  bool focal = false;
  std::vector<double> weight_of_class{};  // in the loss; empty: all count alike
  bool sampled_evenly = false;            // small classes are repeated (balance.h)
  std::vector<std::string> names{};       // of the classes; empty: "class 0" ...
  bool sigmoid = false;                   // each class is read as a probability of its own
  uint64_t seed = 0;                      // of what is drawn for even sampling
  // Chosen on a validation part (calibration.h): logits are divided by the temperature before they
  // become probabilities; below the threshold of the likeliest class the answer is "don't know".
  double temperature = 1;
  std::vector<double> thresholds{};  // empty: everything is answered
  // What thresholds are chosen for: the precision, or the recall, that every class shall have; 0:
  // none are.
  double least_precision = 0, least_recall = 0;
};

// Targets are i64 [N]; mixed ones have the probabilities [N,C] beside them.
class GRAFT_API Classification : public Task {
 public:
  explicit Classification(int64_t classes, ClassificationOptions options = {});

  std::string name() const override { return "classify"; }
  int64_t outputs() const override { return classes_; }
  std::string what() const override { return str(classes_, " classes"); }
  std::shared_ptr<const io::Dataset> to_train_on(
      std::shared_ptr<const io::Dataset> dataset) const override;
  // The images under the options' names, matched by name; without names, by count. Classes that are
  // not among them are left out and said.
  std::shared_ptr<const io::Dataset> to_judge(
      const io::OpenedData& data, const std::string& path,
      const std::function<void(const std::string&)>& note) const override;
  Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const override;
  Targets made_up_targets(int64_t samples, const io::Preprocess& preprocess) const override;
  void check(const Targets& targets, const Shape& outputs) const override;
  void to(Device device) override;
  Tensor loss(const Tensor& outputs, const Targets& targets) const override;
  double weight(const Targets& targets) const override;
  bool mixes() const override { return true; }
  Targets mixed(const Targets& targets, double share) const override;
  const std::vector<ScoreKind>& scores() const override;
  std::unique_ptr<Metric> metric() const override;
  const ScoreKind& running_score() const override;
  double running_sum(const Tensor& outputs, const Targets& targets) const override;
  TaskCard card() const override;
  bool take_head_of(const TaskCard& card) override;  // and how its outputs are read
  std::shared_ptr<const Task> chosen_by(const Metric& validation) const override;
  std::vector<std::string> choices(const Metric& validation) const override;
  std::shared_ptr<const Task> answering_from(double least) const override;
  void choose_thresholds(double least_precision, double least_recall) override;
  std::unique_ptr<Presentation> presentation() const override;

 private:
  Reading reading() const;
  Tensor focal_loss(const Tensor& outputs, const Targets& targets) const;
  int64_t classes_;
  ClassificationOptions options_;
  Tensor numbers_;  // with focal: f32 [1,C], 0 to C - 1
  Tensor weights_;  // f32 [C] where the network lies; undefined: all classes
                    // count alike
};

GRAFT_API std::shared_ptr<Task> make_classification(const Recipe& recipe,
                                                    const io::OpenedData& data);
GRAFT_API std::shared_ptr<Task> classification_of(const TaskCard& card);
GRAFT_API Targets class_targets(const io::Dataset& dataset, std::span<const int64_t> samples);

// judge() (fit.h) of a classifier.
GRAFT_API Evaluation
evaluate(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
         const io::Preprocess& preprocess, int64_t classes, int64_t batch = 32,
         const std::function<void(int64_t done, int64_t total)>& progress = {});
GRAFT_API Evaluation
evaluate(PrefixRunner& run, std::shared_ptr<const io::Dataset> dataset,
         const io::Preprocess& preprocess, int64_t classes, int64_t batch = 32,
         const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace graft::train
