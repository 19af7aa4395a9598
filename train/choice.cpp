#include "graft/train/choice.h"

#include <cmath>

namespace graft::train {

bool is_better(const EpochWorth& candidate, const EpochWorth& best, bool higher_is_better) {
  const bool is_score = std::isfinite(candidate.score);
  if (is_score != std::isfinite(best.score)) return is_score;
  if (is_score && candidate.score != best.score)
    return (candidate.score > best.score) == higher_is_better;
  if (!std::isfinite(candidate.loss)) return !std::isfinite(best.loss);
  return !std::isfinite(best.loss) || candidate.loss <= best.loss;
}

}  // namespace graft::train
