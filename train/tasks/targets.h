// Targets: what the answers to some samples should have been, as tensors whose first axis counts
// the samples.
#pragma once
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft::train {

struct GRAFT_API Targets {
  std::vector<Tensor> tensors{};

  Targets() = default;
  Targets(Tensor one) : tensors{std::move(one)} {}  // NOLINT: a tensor is targets

  bool empty() const { return tensors.empty(); }
  int64_t samples() const { return tensors.empty() ? 0 : tensors[0].size(0); }
  // Of tasks that have one tensor.
  const Tensor& one() const;
  Targets narrow(int64_t begin, int64_t size) const;  // samples [begin, begin + size)
  Targets on(Device device) const;
};

}  // namespace graft::train
