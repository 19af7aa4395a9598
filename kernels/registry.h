// The way from a device to its kernels.
#pragma once
#include "graft/core/tensor/device.h"
#include "graft/core/tensor/tensor.h"

namespace graft {

// A device's kernels for one kind of operation: kernels_for<ops::UnaryKernels>(x). bad_input when
// this build has none for the device. Who asks includes the contract header that it asks by, so
// that a change of one contract is compiled where it is used.
template <class Kernels>
GRAFT_API const Kernels& kernels_for(Device device);
template <class Kernels>
const Kernels& kernels_for(const Tensor& tensor) {
  return kernels_for<Kernels>(tensor.device());
}

}  // namespace graft
