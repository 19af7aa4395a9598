#include "graft/train/tasks/targets.h"

#include "graft/core/tensor/device_backend.h"

namespace graft::train {

const Tensor& Targets::one() const {
  GRAFT_CHECK(tensors.size() == 1, "targets: ", tensors.size(), " tensors, one was expected");
  return tensors[0];
}

Targets Targets::narrow(int64_t begin, int64_t size) const {
  if (begin == 0 && size == samples()) return *this;
  Targets part;
  for (const Tensor& tensor : tensors) part.tensors.push_back(tensor.narrow_batch(begin, size));
  return part;
}

Targets Targets::on(Device device) const {
  Targets there;
  for (const Tensor& tensor : tensors) there.tensors.push_back(to_device(tensor, device));
  return there;
}

}  // namespace graft::train
