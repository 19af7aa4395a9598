// HeldStatistics: for a scope, batch norms normalise by the batch without moving their running
// statistics.
#pragma once
#include <vector>

#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/staged_network.h"

namespace graft::train {

class GRAFT_API HeldStatistics {
 public:
  explicit HeldStatistics(StagedNetwork& network);
  ~HeldStatistics();
  HeldStatistics(const HeldStatistics&) = delete;
  HeldStatistics& operator=(const HeldStatistics&) = delete;

 private:
  struct Before {
    BatchNorm2d* norm;
    double momentum;
    Tensor count{};  // num_batches_tracked; undefined: not counted
    int64_t batches;
  };
  std::vector<Before> before_;
};

}  // namespace graft::train
