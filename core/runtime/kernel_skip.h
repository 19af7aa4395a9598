// Leaving out kernels whose numbers nobody wants: for whoever asks what a network does and not what
// comes of it.
#pragma once
#include "graft/core/base/export.h"
#include "graft/core/base/function_ref.h"

namespace graft {

class Tensor;

// While it lives, each kernel that this thread dispatches with an input x is left out where
// `skip(x)` is true: its result then stays unset. Other threads are not concerned; of nested ones
// the innermost alone is asked.
class GRAFT_API ScopedKernelSkip {
 public:
  using Skip = FunctionRef<bool(const Tensor& x)>;
  explicit ScopedKernelSkip(Skip skip);
  ~ScopedKernelSkip();
  ScopedKernelSkip(const ScopedKernelSkip&) = delete;
  ScopedKernelSkip& operator=(const ScopedKernelSkip&) = delete;

 private:
  friend GRAFT_API bool skips_kernel(const Tensor& x);
  Skip skip_;
  const ScopedKernelSkip* outer_;
};

// Whether this thread's innermost ScopedKernelSkip leaves the kernel out. False without one.
GRAFT_API bool skips_kernel(const Tensor& x);

}  // namespace graft
