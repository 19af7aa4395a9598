// Dropout: in training zeroes each element with a probability and scales the others; elsewhere
// nothing.
#pragma once
#include <cstdint>
#include <vector>

#include "graft/layers/modules/module.h"

namespace graft {

class GRAFT_API Dropout final : public Module {
 public:
  // bad_input for a probability outside [0, 1).
  explicit Dropout(double probability);
  Tensor forward(const Tensor& x) override;  // any shape

  double probability() const { return probability_; }
  // Which elements go is a function of these and the element's index: the training loop sets them
  // before each step, with another seed for each layer, so that a resumed run draws the same ones.
  void set_stream(uint64_t seed, uint64_t epoch, uint64_t step);
  // On a device the stream also stands there, at one place, and kernels read it when they run: for
  // a step that the device repeats. Forward and backward of a pass must then be done before the
  // next stream is set. The CPU: no longer.
  void keep_stream_on(Device device);

 private:
  std::vector<int32_t> words() const;
  double probability_;
  uint64_t seed_ = 0, epoch_ = 0, step_ = 0;
  Tensor words_;  // undefined: the stream is the host's alone
};

// set_stream for every Dropout of a network, each with a seed of its own made from `seed` and its
// place in the network.
GRAFT_API void set_dropout_streams(Module& network, uint64_t seed, uint64_t epoch, uint64_t step);
// keep_stream_on for every Dropout of a network.
GRAFT_API void keep_dropout_streams_on(Device device, Module& network);

}  // namespace graft
