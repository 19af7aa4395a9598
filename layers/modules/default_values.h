// The values that a layer starts with when nobody gives it others: PyTorch's, from counted numbers.
#pragma once
#include <cstdint>

#include "graft/core/tensor/tensor.h"

namespace graft {

// Uniform in +-1/sqrt(fan_in), weight and bias (undefined: none): what kaiming_uniform(a = sqrt(5))
// and PyTorch's biases come to. The numbers depend on set_default_seed() and on how many layers
// this thread has made since. Within a ScopedUnsetValues nothing is done.
GRAFT_API void give_default_values(Tensor weight, Tensor bias, int64_t fan_in);

// Normal numbers (mean 0, deviation 1), as PyTorch's embeddings begin with; else the same.
GRAFT_API void give_normal_values(Tensor weight);

// This thread's next layers are numbered from 0 again, with another seed; at first it is 0.
GRAFT_API void set_default_seed(uint64_t seed);

// While it lives, layers that this thread makes stay at zero: for whoever fills them from a file.
class GRAFT_API ScopedUnsetValues {
 public:
  ScopedUnsetValues();
  ~ScopedUnsetValues();
  ScopedUnsetValues(const ScopedUnsetValues&) = delete;
  ScopedUnsetValues& operator=(const ScopedUnsetValues&) = delete;

 private:
  bool outer_;
};

}  // namespace graft
