// Non-maximum suppression: of boxes that overlap the one with the highest score stays.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// boxes f32 [N,4] of left, top, right, bottom, and a score each -> which stay, the highest score
// first, of equal ones the first in order. A box goes when it overlaps one that stays by more than
// `most` of their union. Computed in float, in the order of torchvision.ops.nms, whose answers are
// the same.
GRAFT_API std::vector<int64_t> suppressed(std::span<const float> boxes,
                                          std::span<const float> scores, double most);
// The same within each class; of all together the highest score first (batched_nms).
GRAFT_API std::vector<int64_t> suppressed_by_class(std::span<const float> boxes,
                                                   std::span<const float> scores,
                                                   std::span<const int64_t> classes, double most);

}  // namespace graft::train
