// Softmax and normalisation for AVX-512 F, BW, DQ, VL.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own _mm512_undefined
#include "graft/kernels/cpu/isa/row_kernels.h"

namespace graft::cpu {

constinit const RowKernels<float> avx512_f32_rows = row_kernels<float>();
constinit const RowKernels<Bf16> avx512_bf16_rows = row_kernels<Bf16>();

}  // namespace graft::cpu
