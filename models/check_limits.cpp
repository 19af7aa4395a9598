#include "graft/models/check_limits.h"

#include "graft/core/base/checked_math.h"

namespace graft::models {

CheckLimits::CheckLimits(const ImportOptions& options)
    : bytes_(options.check_bytes > 0 ? options.check_bytes : kLeastCheckBytes),
      operations_(options.check_operations > 0 ? options.check_operations : kLeastCheckOperations),
      memory_(bytes_, LimitedBytes::held),
      work_(static_cast<double>(operations_)) {}

std::string CheckLimits::reached() const {
  if (work_.was_reached())
    return str("would take more than the ", ceil_div(operations_, int64_t{1'000'000}),
               " million multiply-adds that an import may (", kCheckOperationsPerByte,
               " for each byte of the file's tensors, at least ", kLeastCheckOperations / 1'000'000,
               " million)");
  return str("would hold more than the ", ceil_div(bytes_, int64_t{1} << 20),
             " MiB that an import may (4 times the file, at least ", kLeastCheckBytes >> 20,
             " MiB)");
}

}  // namespace graft::models
