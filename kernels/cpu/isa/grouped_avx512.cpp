// Convolution of narrow groups for AVX-512 F, BW, DQ, VL.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own _mm512_undefined
#include "graft/kernels/cpu/isa/grouped_kernels.h"

namespace graft::cpu {

constinit const GroupedKernels<float> avx512_f32_grouped = grouped_kernels<float>();
constinit const GroupedKernels<double> avx512_f64_grouped = grouped_kernels<double>();
constinit const GroupedKernels<Bf16> avx512_bf16_grouped = grouped_kernels<Bf16>();

}  // namespace graft::cpu
