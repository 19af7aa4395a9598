// Convolution of narrow groups for AVX2 and FMA.
#include "graft/kernels/cpu/isa/grouped_kernels.h"

namespace graft::cpu {

constinit const GroupedKernels<float> avx2_f32_grouped = grouped_kernels<float>();
constinit const GroupedKernels<double> avx2_f64_grouped = grouped_kernels<double>();
constinit const GroupedKernels<Bf16> avx2_bf16_grouped = grouped_kernels<Bf16>();

}  // namespace graft::cpu
