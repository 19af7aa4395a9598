// Blas on cuBLASLt.
#pragma once
#include "graft/kernels/cuda/cublas/blas.h"

namespace graft::cublas {

// For the GPU that is this thread's current one. failed: the library is not there or does not take
// it; the message says why.
gpu::Status open_cublas(std::unique_ptr<Blas>& blas);

// cuBLASLt in a few words, for graft doctor: its version, or why there is none.
std::string describe_cublas();

}  // namespace graft::cublas
