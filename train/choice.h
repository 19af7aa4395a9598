// Which epoch of a run is kept.
#pragma once
#include "graft/core/base/export.h"

namespace graft::train {

// What an epoch's network was worth on the validation part.
struct EpochWorth {
  double score = 0;  // not finite: worse than any
  double loss = 0;   // not finite: not known, worse than any
};

// The better score; of equals lower loss; of equals the later epoch, which `candidate` is.
GRAFT_API bool is_better(const EpochWorth& candidate, const EpochWorth& best,
                         bool higher_is_better = true);

}  // namespace graft::train
