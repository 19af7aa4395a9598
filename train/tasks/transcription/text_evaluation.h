// TextEvaluation: how well texts were recognised.
#pragma once
#include <string>
#include <vector>

#include "graft/train/tasks/task.h"
#include "graft/train/tasks/transcription/alphabet.h"
#include "graft/train/tasks/transcription/edit_distance.h"

namespace graft::train {

// A sample whose text the network has too few steps for.
struct TooLongText {
  int64_t sample = 0;  // its place in what was judged
  int64_t needs = 0, steps = 0;
};
// A text that was not recognised.
struct MistakenText {
  std::string truth{}, said{};
};
inline constexpr int64_t kMostMistakenTexts = 20;  // that an evaluation keeps

class GRAFT_API TextEvaluation final : public Metric {
 public:
  TextEvaluation(Alphabet alphabet, int64_t beam);
  // Outputs f32 [N,T,C], targets as Transcription gives them.
  void add(const Tensor& outputs, const Targets& targets) override;

  int64_t samples() const override { return rates_.texts(); }
  int64_t not_finite() const override { return not_finite_; }
  // Mean CTC loss a character of the samples whose texts the network can spell; NaN without any.
  double loss() const override;
  // Character error rate, word error rate, loss.
  std::vector<double> scores() const override;

  const ErrorRates& rates() const { return rates_; }
  const std::vector<TooLongText>& too_long() const { return too_long_; }
  // Samples with characters that the alphabet lacks.
  int64_t with_unknown() const { return with_unknown_; }
  const std::vector<MistakenText>& mistaken() const { return mistaken_; }  // the first of them

 private:
  void add_loss(const Tensor& outputs, const Tensor& targets, int64_t n);

  Alphabet alphabet_;
  int64_t beam_;
  ErrorRates rates_{};
  std::vector<TooLongText> too_long_{};
  std::vector<MistakenText> mistaken_{};
  double loss_sum_ = 0;
  int64_t losses_ = 0, not_finite_ = 0, with_unknown_ = 0;
};

}  // namespace graft::train
