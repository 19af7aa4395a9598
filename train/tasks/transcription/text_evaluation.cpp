#include "graft/train/tasks/transcription/text_evaluation.h"

#include <algorithm>
#include <limits>

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/ctc.h"
#include "graft/train/metrics.h"

namespace graft::train {

TextEvaluation::TextEvaluation(Alphabet alphabet, int64_t beam)
    : alphabet_(std::move(alphabet)), beam_(beam) {}

void TextEvaluation::add(const Tensor& outputs, const Targets& targets) {
  const NoGradGuard no_grad;
  const Tensor answers = to_device(outputs, {});
  const Tensor& meant = targets.one();
  GRAFT_CHECK(answers.rank() == 3 && answers.size(2) == alphabet_.classes() && meant.rank() == 2 &&
                  meant.size(0) == answers.size(0),
              "evaluation: answers ", answers.shape(), " and targets ", meant.shape(), " for ",
              alphabet_.classes(), " classes");
  const std::vector<std::string> said = alphabet_.spelled(answers, beam_);
  for (int64_t n = 0; n < answers.size(0); ++n) {
    add_loss(answers, meant, n);
    const std::string truth = alphabet_.text_of(
        {meant.data<int64_t>() + n * meant.size(1), static_cast<size_t>(meant.size(1))});
    const std::string& own = said[static_cast<size_t>(n)];
    rates_.add(truth, own);
    if (truth != own && std::ssize(mistaken_) < kMostMistakenTexts)
      mistaken_.push_back({truth, own});
  }
  not_finite_ += rows_not_finite(answers);
}

// Of one sample, before it is counted.
void TextEvaluation::add_loss(const Tensor& outputs, const Tensor& targets, int64_t n) {
  const int64_t* row = targets.data<int64_t>() + n * targets.size(1);
  const int64_t labels = ops::ctc_labels(row, targets.size(1)),
                needs = ops::ctc_steps_needed(row, labels), steps = outputs.size(1);
  const bool is_known = std::none_of(row, row + labels, [](int64_t label) { return label < 0; });
  with_unknown_ += !is_known;
  if (needs > steps) too_long_.push_back({rates_.texts(), needs, steps});
  if (!is_known || needs > steps) return;
  loss_sum_ += functional::ctc_loss(outputs.narrow_batch(n, 1), targets.narrow_batch(n, 1),
                                    {.blank = kBlank})
                   .item();
  ++losses_;
}

double TextEvaluation::loss() const {
  if (losses_ == 0) return std::numeric_limits<double>::quiet_NaN();
  return loss_sum_ / static_cast<double>(losses_);
}

std::vector<double> TextEvaluation::scores() const {
  return {rates_.character_error_rate(), rates_.word_error_rate(), loss()};
}

}  // namespace graft::train
