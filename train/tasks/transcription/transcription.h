// Transcription: the text that is said or written in a sample, learned without knowing where its
// characters are (CTC).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/train/recipe.h"
#include "graft/train/tasks/task.h"
#include "graft/train/tasks/transcription/alphabet.h"

namespace graft::train {

// How many prefixes "beam" keeps.
inline constexpr int64_t kBeam = 8;

// What a sample's text takes.
struct TextLength {
  std::string name{};  // of the sample
  int64_t characters = 0, steps = 0;
};

struct TranscriptionOptions {
  std::vector<std::string> characters{};  // of the alphabet
  int64_t beam = 1;                       // 1: the likeliest path
  // Of the samples to train on, those that need most steps first. The network must have as many.
  std::vector<TextLength> lengths{};
};

// Outputs are f32 [N,T,C], logits of the blank and the characters at each of T steps along the
// input's width; targets i64 [N,L], classes from 1 and then -1 to a row's end. Any network that has
// maps to tap takes it: its head averages them over their height.
class GRAFT_API Transcription final : public Task {
 public:
  explicit Transcription(TranscriptionOptions options);

  std::string name() const override { return "transcribe"; }
  int64_t outputs() const override { return alphabet_.classes(); }
  std::string what() const override;
  HeadPlan head() const override;
  // bad_input unless the data are texts. Characters that the model does not know are said.
  std::shared_ptr<const io::Dataset> to_judge(
      const io::OpenedData& data, const std::string& path,
      const std::function<void(const std::string&)>& note) const override;
  Targets targets(const io::Dataset& dataset, std::span<const int64_t> samples) const override;
  Targets made_up_targets(int64_t samples, const io::Preprocess& preprocess) const override;
  // bad_input naming the samples whose texts need more steps than the network has.
  void check(const Targets& targets, const Shape& outputs) const override;
  Tensor loss(const Tensor& outputs, const Targets& targets) const override;
  const std::vector<ScoreKind>& scores() const override;
  std::unique_ptr<Metric> metric() const override;
  const ScoreKind& running_score() const override;
  double running_sum(const Tensor& outputs, const Targets& targets) const override;
  TaskCard card() const override;
  std::unique_ptr<Presentation> presentation() const override;

  const Alphabet& alphabet() const { return alphabet_; }

 private:
  TranscriptionOptions options_;
  Alphabet alphabet_;
};

GRAFT_API std::shared_ptr<Task> make_transcription(const Recipe& recipe,
                                                   const io::OpenedData& data);
GRAFT_API std::shared_ptr<Task> transcription_of(const TaskCard& card);

}  // namespace graft::train
