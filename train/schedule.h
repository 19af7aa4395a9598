// Learning-rate schedules: the rate is a function of the step alone.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

struct ScheduleOptions {
  std::string name = "cosine";  // schedule_names()
  double lr = 0.1;              // the peak
  int64_t steps = 1;            // of the whole run
  int64_t warmup = 0;  // first steps, rising in a line from lr / warmup (not with onecycle)
};

GRAFT_API std::vector<std::string> schedule_names();

// The rate of step 0 .. steps-1. constant and plateau: the peak. step: a tenth after each third of
// the run. cosine: half a cosine down to zero. onecycle: PyTorch's OneCycleLR with its defaults (up
// over 30 % from lr/25, down to lr/25e4, both along a cosine). polynomial: down to zero with power
// 0.9, as DeepLab (PyTorch's PolynomialLR). exponential: each step by the same factor, to a
// hundredth over the run (ExponentialLR).
GRAFT_API double learning_rate(const ScheduleOptions& options, int64_t step);

// With plateau, what the rate of the next epoch is multiplied by after these validation losses of
// the epochs so far: a tenth for each time that three in a row were no lower, by a ten-thousandth,
// than the lowest before (PyTorch's ReduceLROnPlateau with a patience of 2).
GRAFT_API double plateau_factor(std::span<const double> losses);

}  // namespace graft::train
