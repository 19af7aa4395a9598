#include "graft/core/tensor/rounded_copy.h"

#include <mutex>

#include "graft/core/base/fork.h"

namespace graft {
namespace {

TurnLock g_rounding;  // one for all: copies are made rarely, and not in parallel

}  // namespace

struct RoundedCopy {
  Tensor tensor;
  uint64_t version;  // of the parameter's storage
};

Tensor rounded_copy(const Tensor& parameter, DType dtype) {
  if (parameter.dtype() == dtype) return parameter;
  const std::lock_guard lock(g_rounding);
  Storage& storage = parameter.storage();
  if (parameter.bytes() != storage.bytes()) return parameter.to(dtype);
  std::shared_ptr<RoundedCopy>& kept = storage.rounded_copy();
  const bool fits = kept && kept->tensor.dtype() == dtype &&
                    kept->tensor.shape() == parameter.shape() &&
                    kept->tensor.format() == parameter.format();
  if (!fits)
    kept = std::make_shared<RoundedCopy>(RoundedCopy{parameter.to(dtype), storage.version()});
  else if (kept->version != storage.version())
    kept->tensor.copy_from(parameter);
  kept->version = storage.version();
  return kept->tensor;
}

Tensor refreshed_copy(const Tensor& parameter) {
  const std::shared_ptr<RoundedCopy>& kept = parameter.storage().rounded_copy();
  return kept ? rounded_copy(parameter, kept->tensor.dtype()) : Tensor();
}

Tensor current_copy(const Tensor& parameter) {
  const std::shared_ptr<RoundedCopy>& kept = parameter.storage().rounded_copy();
  return kept && kept->version == parameter.version() && kept->tensor.shape() == parameter.shape()
             ? kept->tensor
             : Tensor();
}

void copy_was_written(const Tensor& parameter) {
  const std::shared_ptr<RoundedCopy>& kept = parameter.storage().rounded_copy();
  GRAFT_ASSERT(kept != nullptr);
  kept->version = parameter.version();
}

}  // namespace graft
