// McNemar's exact test: whether one of two models is better on the same samples.
#pragma once
#include <cstdint>

#include "graft/core/base/export.h"

namespace graft::train {

// Two-sided p-value of McNemar's exact test: how likely `only_first` and `only_second` (samples on
// which one of two models alone is right) are this uneven, or more, when both models are equally
// good: min(1, 2 P(X <= the lesser)), X binomial of their sum and 1/2. 1 when both are 0.
// Source: Q. McNemar, Psychometrika 12 (1947) 153.
GRAFT_API double mcnemar_exact(int64_t only_first, int64_t only_second);

}  // namespace graft::train
