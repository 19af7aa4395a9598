// Dropout: in training zeroes each element with a probability and scales the others; elsewhere nothing.
#pragma once
#include <cstdint>

#include "graft/layers/modules/module.h"

namespace graft {

class GRAFT_API Dropout final : public Module {
 public:
  // bad_input for a probability outside [0, 1).
  explicit Dropout(double probability);
  Tensor forward(const Tensor& x) override;  // any shape

  double probability() const { return probability_; }
  // Which elements go is a function of these and the element's index: the training loop sets them before each step, with
  // another seed for each layer, so that a resumed run draws the same ones.
  void set_stream(uint64_t seed, uint64_t epoch, uint64_t step);

 private:
  double probability_;
  uint64_t seed_ = 0, epoch_ = 0, step_ = 0;
};

// set_stream for every Dropout of a network, each with a seed of its own made from `seed` and its place in the network.
GRAFT_API void set_dropout_streams(Module& network, uint64_t seed, uint64_t epoch, uint64_t step);

}  // namespace graft
