#include "graft/core/runtime/kernel_skip.h"

#include <utility>

namespace graft {
namespace {

thread_local const ScopedKernelSkip* t_innermost_skip = nullptr;

}  // namespace

ScopedKernelSkip::ScopedKernelSkip(Skip skip)
    : skip_(skip), outer_(std::exchange(t_innermost_skip, this)) {}
ScopedKernelSkip::~ScopedKernelSkip() { t_innermost_skip = outer_; }

bool skips_kernel(const Tensor& x) { return t_innermost_skip && t_innermost_skip->skip_(x); }

}  // namespace graft
