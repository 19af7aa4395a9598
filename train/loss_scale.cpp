#include "graft/train/loss_scale.h"

#include <algorithm>

namespace graft::train {

void LossScale::update(bool was_taken) {
  if (!dynamic_) return;
  if (!was_taken) {
    value_ = std::max(value_ / 2, 1.0);
    taken_ = 0;
  } else if (++taken_ == kGrowthInterval) {
    value_ = std::min(value_ * 2, kMost);
    taken_ = 0;
  }
}

}  // namespace graft::train
