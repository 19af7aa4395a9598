// The 16-bit copy of a float32 parameter, for kernels that multiply in 16 bits: kept beside the
// parameter, so that it is rounded once a version and not in every pass.
#pragma once
#include "graft/core/tensor/tensor.h"

namespace graft {

// The parameter in `dtype`, in its layout and on its device. Made when it is first asked for and
// again, at the same address, after the parameter was written; one that is part of a larger storage
// is rounded each time. Any number of threads may ask while nobody writes the parameter.
GRAFT_API Tensor rounded_copy(const Tensor& parameter, DType dtype);

// The copy that a parameter has, brought up to date at its address; undefined when it has none.
GRAFT_API Tensor refreshed_copy(const Tensor& parameter);

// Of a parameter whose copy is up to date, that copy, else undefined: whoever writes the parameter
// next may write it too and then says so by copy_was_written().
GRAFT_API Tensor current_copy(const Tensor& parameter);
GRAFT_API void copy_was_written(const Tensor& parameter);

}  // namespace graft
