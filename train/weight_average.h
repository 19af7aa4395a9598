// WeightAverage: exponential moving averages (EMA) of what training changes in a network, kept
// beside it.
#pragma once
#include <string>
#include <vector>

#include "graft/layers/modules/staged_network.h"

namespace graft::train {

// Of weights and running statistics, on their device. After step t an average becomes d * average +
// (1 - d) * value with d = min(decay, (1 + t) / (10 + t)), as TensorFlow's
// ExponentialMovingAverage(decay, num_updates): a short run is not an average of where it began.
class GRAFT_API WeightAverage {
 public:
  // Of the network as it is, which must outlive this.
  WeightAverage(StagedNetwork& network, double decay);
  void update();  // after a step
  // "<name>" of each and "/steps": what a checkpoint keeps.
  StateDict state() const;
  // bad_input when it is not of these tensors.
  void load_state(const StateDict& state);

 private:
  friend class AveragesInPlace;
  struct Average {
    std::string name;
    Tensor value, average;
  };
  std::vector<Average> averages_;
  double decay_;
  int64_t steps_ = 0;
};

// For a scope, the network holds its averages. Null: nothing happens.
class GRAFT_API AveragesInPlace {
 public:
  explicit AveragesInPlace(const WeightAverage* of);
  ~AveragesInPlace();
  AveragesInPlace(const AveragesInPlace&) = delete;
  AveragesInPlace& operator=(const AveragesInPlace&) = delete;

 private:
  const WeightAverage* of_;
  std::vector<Tensor> before_;
};

}  // namespace graft::train
