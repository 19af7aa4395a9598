// Range test: what the loss does while the learning rate rises from step to step, to choose a rate
// before a run. (L. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017.)
#pragma once
#include <span>
#include <string>
#include <vector>

#include "graft/train/fit.h"

namespace graft::train {

struct RateRangeOptions {
  double from = 1e-7, to = 10;  // the rate of the first step and of the last, above 0
  int64_t steps = 100;          // between them it rises by one factor, from step to step
};

struct RateStep {
  double lr = 0;
  double loss = 0;      // of the batch, before the step; not finite in the last one of a test that
                        // ended there
  double smoothed = 0;  // mean of the losses so far, each weighed 0.98 times as the one after it
};

struct RateRange {
  std::vector<RateStep> steps{};
  double suggested = 0;   // 0: none
  std::string reason{};   // a sentence: how it was chosen, or why there is none
  bool diverged = false;  // ended before the last step: the smoothed loss was above four times the
                          // lowest, or a loss was not finite
  bool interrupted = false;  // FitOptions::stop
};

// A tenth of the rate at which the smoothed loss was lowest (fastai's rule "minimum", with its
// smoothing and its end). None where no step's is clearly, by 1 %, lower than the first one's.
struct SuggestedRate {
  double rate = 0;
  std::string reason{};
};
GRAFT_API SuggestedRate suggested_rate(std::span<const RateStep> steps);

// Trains as fit() would by the recipe (its optimizer, freezing, augmentation, batches in their
// order, as many epochs as there are steps), but for the rate, and puts the network back: every
// tensor has its bits from before, and is frozen or not as it was. Writes no file: of the options
// only what a run without a folder takes. Recipe::lr, its schedule, warm-up, probe, average and
// epochs are left aside. bad_input as fit(), and for a range that does not rise or fewer than 10
// steps.
GRAFT_API RateRange rate_range(StagedNetwork& network, const io::OpenedData& data,
                               const io::Preprocess& preprocess, const Recipe& recipe,
                               const FitOptions& options, const RateRangeOptions& range = {});

}  // namespace graft::train
