// Which epoch of a run is kept: the latest that the validation samples do not show to be worse than
// one before it. The epoch with the most right answers on a few dozen images owes that to chance as
// often as not, and is early; so a difference must be larger than chance explains.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// What a network was worth on each sample of a part, in the part's order. Scores are empty where
// the score is no mean over samples (mAP), losses where they are not known.
struct SampleWorths {
  std::vector<float> scores{}, losses{};
};

// What an epoch's network was worth on the validation part.
struct EpochWorth {
  int64_t epoch = 0;  // 0: none
  double score = 0;   // not finite: worse than any
  double loss = 0;    // not finite: not known, worse than any
  SampleWorths samples{};
};

// Hears the epochs in their order. Where samples are known, a difference of two epochs is the mean
// over the samples of their differences, and counts when it exceeds two of its standard errors (a
// paired, two-sided test at about 95 %: e.g. Dietterich, Neural Computation 10, 1998). An epoch is
// kept unless its score is worse by a difference that counts than the highest before it; and unless
// its loss is so beside the lowest of those kept, but for a score that is better than that one's by
// a difference that counts. Where the samples' scores are not known, their losses alone decide;
// where neither is: the better score is kept, of equal ones the lower loss, of equals the later.
class GRAFT_API EpochChoice {
 public:
  explicit EpochChoice(bool higher_is_better = true) : higher_is_better_(higher_is_better) {}
  // Of a run that goes on: as highest() and lowest() were.
  EpochChoice(EpochWorth highest, EpochWorth lowest, bool higher_is_better);

  // Whether this epoch is kept.
  bool hear(const EpochWorth& later);

  const EpochWorth& highest() const { return highest_; }  // the score's best; the first of equals
  const EpochWorth& lowest() const { return lowest_; }    // the lowest loss of those kept
  // The last epoch that was better than those before it in either.
  int64_t last_better() const { return std::max(highest_.epoch, lowest_.epoch); }

 private:
  bool hear_means(const EpochWorth& later);

  EpochWorth highest_, lowest_;
  bool higher_is_better_;
};

}  // namespace graft::train
