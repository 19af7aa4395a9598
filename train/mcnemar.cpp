#include "graft/train/mcnemar.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"

namespace graft::train {

double mcnemar_exact(int64_t only_first, int64_t only_second) {
  GRAFT_CHECK(only_first >= 0 && only_second >= 0, "McNemar's test of ", only_first, " and ",
              only_second);
  const int64_t lesser = std::min(only_first, only_second), all = only_first + only_second;
  double logarithm = -static_cast<double>(all) * std::log(2.0);  // of the lesser's term
  for (int64_t i = 1; i <= lesser; ++i)
    logarithm += std::log(static_cast<double>(all - lesser + i) / static_cast<double>(i));
  double term = std::exp(logarithm), sum = 0;
  for (int64_t k = lesser; k >= 0 && term > sum * 1e-18; --k) {  // terms fall
    sum += term;
    term *= static_cast<double>(k) / static_cast<double>(all - k + 1);
  }
  return std::min(1.0, 2 * sum);
}

}  // namespace graft::train
