// Which epoch of a run is kept: the latest that the validation samples do not show to be worse than
// another. The epoch with the most right answers on a few dozen images owes that to chance as often
// as not, and is early; so the difference must be larger than chance explains.
#pragma once
#include <cstdint>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// What a network was worth on each sample of a part, in the part's order. Both are empty where the
// score is no mean over samples or the loss is not known.
struct SampleWorths {
  std::vector<float> scores{}, losses{};
};

// What an epoch's network was worth on the validation part.
struct EpochWorth {
  int64_t epoch = 0;
  double score = 0;  // not finite: worse than any
  double loss = 0;   // not finite: not known, worse than any
  SampleWorths samples{};
};

enum class Standing : unsigned char {
  worse,
  level,  // a later epoch that is not told from the earlier is kept
  better  // and is what the next ones are compared with
};

// How a later epoch stands to an earlier one. Where both know each sample's score and loss: first
// by the score, then by the loss. A mean difference over the samples counts when it exceeds two of
// its standard errors (a paired, two-sided test at about 95 %: e.g. Dietterich,
// Neural Computation 10, 1998); of losses that do not differ by so much the lower one is better,
// the higher one level. Else the better score, of equal ones the lower loss, of equals the later
// epoch is better.
GRAFT_API Standing compare(const EpochWorth& later, const EpochWorth& earlier,
                           bool higher_is_better = true);

}  // namespace graft::train
