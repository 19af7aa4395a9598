// Task: what an answer of the network means. It says what a sample's target is,
// the loss, and the scores by which a run is watched and its best epoch is
// chosen.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/train/choice.h"
#include "graft/train/sample_views.h"
#include "graft/train/tasks/targets.h"
#include "graft/train/tasks/task_card.h"

namespace graft::train {

// A number that judges a network, and where it lies; scores outside of that are
// damage.
struct ScoreKind {
  std::string name{};
  double lowest = 0, highest = 1;
  bool higher_is_better = true;
};

// What adds up over the samples of a part.
class GRAFT_API Metric {
 public:
  virtual ~Metric() = default;
  // outputs: [N,...] f32, on any device, whose work is waited for; targets on
  // the host.
  virtual void add(const Tensor& outputs, const Targets& targets) = 0;
  virtual int64_t samples() const = 0;
  virtual int64_t not_finite() const = 0;          // samples whose outputs are no numbers
  virtual std::vector<double> scores() const = 0;  // in the order of Task::scores()
  virtual double score() const { return scores().at(0); }
  // The same while samples still come, after each batch; NaN where that would take long.
  virtual double score_so_far() const { return score(); }
  virtual double loss() const = 0;  // mean; NaN where it is not known
  // Where score() and loss() are means over the samples: of what. Of two epochs they tell more than
  // the means do (choice.h).
  virtual SampleWorths per_sample() const { return {}; }
};

class Presentation;

// The head that a task asks of a network.
struct HeadPlan {
  // The decoder that averages maps over their height: a sequence [N,T,outputs] along the width.
  static constexpr const char* kSequence = "sequence";

  int64_t outputs = 1;        // numbers for a sample, or maps
  std::string decoder{};      // of maps, by name (--decoder); "": numbers from pooled features
  std::vector<float> bias{};  // where the outputs start; empty: at 0

  // Whether it answers with places in a sample.
  bool has_places() const { return !decoder.empty() && decoder != kSequence; }
};

// A task is for one data set and one recipe. Everything but to() may be called
// by any thread.
class GRAFT_API Task {
 public:
  virtual ~Task() = default;
  virtual std::string name() const = 0;  // as --task has it
  virtual int64_t outputs() const = 0;   // numbers, or maps, that the head gives for a sample
  virtual HeadPlan head() const;         // outputs() numbers, at first
  virtual std::string what() const;      // they are, for people: "3 classes"; "3 outputs", at first

  // ---- data
  // The samples to train on, of those there are: a task may repeat some. As
  // they are, at first.
  virtual std::shared_ptr<const io::Dataset> to_train_on(
      std::shared_ptr<const io::Dataset> dataset) const;
  // The samples of `data` that a model of this task is judged on: its validation part, at first.
  // What is left out, and why, goes to `note`; bad_input naming `path` where nothing fits.
  virtual std::shared_ptr<const io::Dataset> to_judge(
      const io::OpenedData& data, const std::string& path,
      const std::function<void(const std::string&)>& note) const;
  // On the host, in the order of the samples.
  virtual Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const = 0;
  // The same where a target follows the image's geometry (a mask is cropped and mirrored with it):
  // as the samples are seen. targets() of the samples, at first.
  virtual Targets placed_targets(const io::Dataset& dataset, std::span<const int64_t> samples,
                                 const SampleViews& seen) const;
  // Targets that no sample has, for a step that only counts memory; images become input by
  // `preprocess`.
  virtual Targets made_up_targets(int64_t samples, const io::Preprocess& preprocess) const = 0;
  // bad_input for targets, on the host, that outputs of this shape cannot have:
  // on a device nobody looks at them.
  virtual void check(const Targets& targets, const Shape& outputs) const = 0;

  // ---- training
  // Where the network lies: whatever else loss() computes with goes there too.
  virtual void to(Device device);
  // Rank 0 or [1]: the weighted mean over the samples, of f32 outputs [N,...]
  // and targets on their device.
  virtual Tensor loss(const Tensor& outputs, const Targets& targets) const = 0;
  // What these samples count for together in a mean that loss() takes: their
  // number, at first.
  virtual double weight(const Targets& targets) const;
  // Targets of samples that are each mixed with the one before it, the first with the last
  // (mixing.h): `share` of their own, the rest of the other's. Only where mixes() says so, which it
  // does not at first.
  virtual bool mixes() const;
  virtual Targets mixed(const Targets& targets, double share) const;
  // How many terms a sample's loss is the mean of: 1, at first. What is known of a head's weights
  // before training (Recipe::head_prior) is weighed against one of them.
  virtual int64_t terms() const;

  // ---- judging
  // Of scores() the first and the loss choose the epoch (EpochChoice in choice.h).
  virtual const std::vector<ScoreKind>& scores() const = 0;
  virtual std::unique_ptr<Metric> metric() const = 0;
  // The score that is watched while training, and its sum over some samples;
  // both on the host.
  virtual const ScoreKind& running_score() const = 0;
  virtual double running_sum(const Tensor& outputs, const Targets& targets) const = 0;

  // ---- the model's file
  // What the card keeps; of a task of the caller's own its name and outputs(), at first.
  virtual TaskCard card() const;
  // Takes the head of a model of this card as it is, with what its outputs mean; false when it is
  // for something else, and nothing happens.
  virtual bool take_head_of(const TaskCard& card);
  // This task with what is chosen by how the best epoch's network did on the validation part
  // (thresholds); null by default: nothing is chosen.
  virtual std::shared_ptr<const Task> chosen_by(const Metric& validation) const;

  // ---- showing
  // How the results are shown; made of the scores alone, at first. The task must outlive it.
  virtual std::unique_ptr<Presentation> presentation() const;

  // ---- what is chosen
  // What chosen_by() chooses in words, a sentence each, and what it cannot. None, at first.
  virtual std::vector<std::string> choices(const Metric& validation) const;
  // This task where an answer is given from a probability of `least` on, and is "don't know" below
  // it; null where answers are not of that kind, as at first.
  virtual std::shared_ptr<const Task> answering_from(double least) const;
  // chosen_by() is to choose thresholds for this precision, or this recall; the other is 0.
  // bad_input where the task has no such thresholds, as at first.
  virtual void choose_thresholds(double least_precision, double least_recall);
};

// The targets of a task for samples as they are seen, or where there is none (null) those that the
// data set has by itself: its samples' classes.
GRAFT_API Targets targets_of(const Task* task, const io::Dataset& dataset,
                             std::span<const int64_t> samples, const SampleViews& seen);

}  // namespace graft::train
