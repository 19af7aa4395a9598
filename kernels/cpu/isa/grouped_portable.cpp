// Convolution of narrow groups for any processor (the compiler's own vectors).
#include "graft/kernels/cpu/isa/grouped_kernels.h"

namespace graft::cpu {

constinit const GroupedKernels<float> portable_f32_grouped = grouped_kernels<float>();
constinit const GroupedKernels<double> portable_f64_grouped = grouped_kernels<double>();
constinit const GroupedKernels<Bf16> portable_bf16_grouped = grouped_kernels<Bf16>();

}  // namespace graft::cpu
