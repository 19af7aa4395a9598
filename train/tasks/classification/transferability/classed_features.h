// Features with the class of each sample: what every score of transferability is computed from.
#pragma once
#include <span>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::train {

struct GRAFT_API ClassedFeatures {
  int64_t samples = 0, count = 0, classes = 0;  // N, D, C
  std::vector<double> values{};                 // [N,D], a row for each sample
  std::vector<int64_t> labels{};                // [N], 0 .. C-1

  std::vector<int64_t> sizes() const;  // samples of each class
  // bad_input unless there are two classes or more, each of which has samples, and all features
  // are finite numbers. Every score asks this first.
  void check() const;
  // Some of the samples, in the given order. Classes that none of them has keep their number.
  ClassedFeatures of(std::span<const int64_t> chosen) const;
};

// Features [N,D] or [N,D,1,...], f32 or f64, of samples whose labels may be any numbers: the
// classes are those that occur, ascending. Checked as above.
GRAFT_API ClassedFeatures classed_features(const Tensor& features,
                                           const std::vector<int64_t>& labels);

}  // namespace graft::train
