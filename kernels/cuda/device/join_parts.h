// JoinParts: the last step of sums that were made in parts.
#pragma once
#include "graft/kernels/cuda/device/element.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// y[i] = the sum of partial[part][i], in order.
template <class T>
struct JoinParts {
  static constexpr const char* name = "joining partial sums";
  static constexpr int group = 1;
  Span<const float> partial;
  Span<T> y;
  int64_t parts;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    float sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += partial.load(part * y.size + i);
    y.store(i, from_float<T>(sum));
  }
};

}  // namespace graft::cuda
