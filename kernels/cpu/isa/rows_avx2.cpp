// Softmax and normalisation for AVX2 and FMA.
#include "graft/kernels/cpu/isa/row_kernels.h"

namespace graft::cpu {

constinit const RowKernels<float> avx2_f32_rows = row_kernels<float>();
constinit const RowKernels<Bf16> avx2_bf16_rows = row_kernels<Bf16>();

}  // namespace graft::cpu
