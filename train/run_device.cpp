#include "graft/train/run_device.h"

#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"

namespace graft::train {

std::string arithmetic_of(const Module& network) {
  return std::string(is_cpu(network.device()) ? name_of(current_context().instruction_set())
                                              : "cuda");
}

void hash_elements(Sha256& hash, const Tensor& tensor) {
  const Tensor plain = to_device(tensor, {}).to(MemoryFormat::contiguous);
  hash.update(
      std::span(static_cast<const std::byte*>(plain.raw()), static_cast<size_t>(plain.bytes())));
}

Tensor host_copy(const Tensor& tensor) {
  return is_cpu(tensor.device()) ? tensor.clone() : to_device(tensor, {});
}

}  // namespace graft::train
