// Learning-rate schedules: the rate is a function of the step alone.
#pragma once
#include <cstdint>
#include <string>

#include "graft/core/base/export.h"

namespace graft::train {

struct ScheduleOptions {
  std::string name = "cosine";  // constant, step, cosine, onecycle
  double lr = 0.1;              // the peak
  int64_t steps = 1;            // of the whole run
  int64_t warmup = 0;  // first steps, rising in a line from lr / warmup (not with onecycle)
};

// The rate of step 0 .. steps-1. step: a tenth after each third of the run. cosine: half a cosine
// down to zero. onecycle: PyTorch's OneCycleLR with its defaults (up over 30 % from lr/25, down to
// lr/25e4, both along a cosine).
GRAFT_API double learning_rate(const ScheduleOptions& options, int64_t step);

}  // namespace graft::train
