// Segmentation: each pixel is of one class. Loss and scores over the pixels that count; of two
// classes a threshold chosen on the validation part.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/train/recipe.h"
#include "graft/train/tasks/segmentation/pixel_evaluation.h"

namespace graft::train {

struct SegmentationOptions {
  std::vector<std::string> names{};       // of the classes; empty: "class 0" ...
  std::string loss = "ce+dice";           // pixel_loss.h
  std::string decoder = "unet";           // that the head is to have
  std::vector<double> weight_of_class{};  // in cross-entropy and focal loss; empty: 1
  std::vector<double>
      shares{};            // of the training pixels, where the outputs start; empty: not known
  double threshold = 0.5;  // of two classes: from which probability on the second is said
  bool threshold_is_chosen = false;
};

// Targets are masks u8 [N,H,W] at the network's input, of classes and io::kIgnoredPixel: outside of
// an image, and where its mask says so; where images are seen in windows, i64 [N] too: of which
// each is. Of two classes the network gives one map, else a map each.
class GRAFT_API Segmentation : public Task {
 public:
  explicit Segmentation(int64_t classes, SegmentationOptions options = {});

  std::string name() const override { return "segment"; }
  int64_t outputs() const override { return classes_ == 2 ? 1 : classes_; }
  int64_t classes() const { return classes_; }
  HeadPlan head() const override;
  std::string what() const override { return str("maps of ", classes_, " classes"); }
  // By the classes' names; pixels of classes that the model does not know are not judged, and said.
  std::shared_ptr<const io::Dataset> to_judge(
      const io::OpenedData& data, const std::string& path,
      const std::function<void(const std::string&)>& note) const override;
  // bad_input: a mask has no place without the image's.
  Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const override;
  Targets placed_targets(const io::Dataset& dataset, std::span<const int64_t> samples,
                         const SampleViews& seen) const override;
  Targets made_up_targets(int64_t samples, const io::Preprocess& preprocess) const override;
  void check(const Targets& targets, const Shape& outputs) const override;
  void to(Device device) override { loss_.to(device); }
  Tensor loss(const Tensor& outputs, const Targets& targets) const override;
  const std::vector<ScoreKind>& scores() const override { return scores_; }
  std::unique_ptr<Metric> metric() const override;
  const ScoreKind& running_score() const override;
  double running_sum(const Tensor& outputs, const Targets& targets) const override;
  TaskCard card() const override;
  bool take_head_of(const TaskCard& card) override;
  std::shared_ptr<const Task> chosen_by(const Metric& validation) const override;
  std::unique_ptr<Presentation> presentation() const override;

 private:
  PixelLoss host_loss() const;

  int64_t classes_;
  SegmentationOptions options_;
  PixelLoss loss_;  // where the network lies
  std::vector<ScoreKind> scores_;
};

GRAFT_API std::shared_ptr<Task> make_segmentation(const Recipe& recipe, const io::OpenedData& data);
GRAFT_API std::shared_ptr<Task> segmentation_of(const TaskCard& card);

// Of the pixels of a data set that count: the share of each class.
GRAFT_API std::vector<double> class_shares(const io::Dataset& dataset, int64_t classes);

}  // namespace graft::train
