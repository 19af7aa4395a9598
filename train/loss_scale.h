// LossScale: what the loss is multiplied by before backward in float16, so that small gradients do
// not become zero.
#pragma once
#include <cstdint>

#include "graft/core/base/export.h"

namespace graft::train {

// Micikevicius et al. 2018. Fixed, or dynamic: starts at 65,536, doubles (up to 2^24) after every
// 2,000 steps in a row that were taken, halves (down to 1) after one that was left out because a
// gradient was not finite.
class GRAFT_API LossScale {
 public:
  static constexpr double kFirst = 65536, kMost = 16777216;
  static constexpr int64_t kGrowthInterval = 2000;

  explicit LossScale(double fixed)
      : value_(fixed > 0 ? fixed : kFirst), dynamic_(!(fixed > 0)) {}  // 0: dynamic
  double value() const { return value_; }
  int64_t steps_taken() const { return taken_; }  // in a row, since the scale changed
  void restore(double value, int64_t taken) { value_ = value, taken_ = taken; }
  void update(bool was_taken);

 private:
  double value_;
  bool dynamic_;
  int64_t taken_ = 0;
};

}  // namespace graft::train
