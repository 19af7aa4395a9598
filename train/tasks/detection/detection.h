// Detection: the objects of an image, each a box and a class. Loss at the places of a map, average
// precision, and a confidence chosen on the validation part.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/train/recipe.h"
#include "graft/train/tasks/detection/box_evaluation.h"

namespace graft::train {

struct DetectionOptions {
  std::vector<std::string> names{};  // of the classes; empty: "class 0" ...
  int64_t most_boxes = 1;            // of an image of the data; more are taken too
  double confidence = 0.4;           // the score from which on a box is said
  bool confidence_is_chosen = false;
};

// Targets are, at the network's input, of each place what it is to find (box_maps.h) and the
// objects (box_evaluation.h). A map for each class, then left, top, right, bottom and fit. An
// object of which less than a quarter is in a view of its image, or less than a pixel, is not
// looked for there, and finding it counts for nothing.
class GRAFT_API Detection : public Task {
 public:
  explicit Detection(int64_t classes, DetectionOptions options = {});

  std::string name() const override { return "detect"; }
  int64_t outputs() const override;
  int64_t classes() const { return classes_; }
  HeadPlan head() const override;
  std::string what() const override { return str("boxes of ", classes_, " classes"); }
  // By the classes' names; objects of classes that the model does not know are left out, and said.
  std::shared_ptr<const io::Dataset> to_judge(
      const io::OpenedData& data, const std::string& path,
      const std::function<void(const std::string&)>& note) const override;
  // bad_input: a box has no place without the image's.
  Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const override;
  Targets placed_targets(const io::Dataset& dataset, std::span<const int64_t> samples,
                         const SampleViews& seen) const override;
  Targets made_up_targets(int64_t samples, const io::Preprocess& preprocess) const override;
  void check(const Targets& targets, const Shape& outputs) const override;
  void to(Device device) override { loss_.to(device); }
  // Of each place that is to find a box: the mean over all of the samples' places.
  Tensor loss(const Tensor& outputs, const Targets& targets) const override;
  double weight(const Targets& targets) const override;
  const std::vector<ScoreKind>& scores() const override { return scores_; }
  std::unique_ptr<Metric> metric() const override;
  // Of the places that are to find a box: of how many the likeliest class is right.
  const ScoreKind& running_score() const override { return running_score_; }
  double running_sum(const Tensor& outputs, const Targets& targets) const override;
  TaskCard card() const override;
  bool take_head_of(const TaskCard& card) override;
  std::shared_ptr<const Task> chosen_by(const Metric& validation) const override;
  std::unique_ptr<Presentation> presentation() const override;

 private:
  int64_t classes_;
  DetectionOptions options_;
  BoxLoss loss_;  // where the network lies
  std::vector<ScoreKind> scores_;
  ScoreKind running_score_{"place_accuracy", 0, 1, true};
};

GRAFT_API std::shared_ptr<Task> make_detection(const Recipe& recipe, const io::OpenedData& data);
GRAFT_API std::shared_ptr<Task> detection_of(const TaskCard& card);

}  // namespace graft::train
