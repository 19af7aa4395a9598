// How sure an accuracy can be.
#pragma once
#include <cstdint>
#include <string>

#include "graft/core/base/export.h"

namespace graft::train {

struct Interval {
  double low = 0, high = 1;
};
// Wilson's score interval for a share of `correct` in `samples`, 95 %.
// Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
GRAFT_API Interval wilson_interval(int64_t correct, int64_t samples);

// Where so few images were judged that the interval is wider than 0.1: a sentence that says so;
// else "".
GRAFT_API std::string how_sure(int64_t correct, int64_t samples);

}  // namespace graft::train
