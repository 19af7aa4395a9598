// Softmax and normalisation for any processor (the compiler's own vectors).
#include "graft/kernels/cpu/isa/row_kernels.h"

namespace graft::cpu {

constinit const RowKernels<float> portable_f32_rows = row_kernels<float>();
constinit const RowKernels<Bf16> portable_bf16_rows = row_kernels<Bf16>();

}  // namespace graft::cpu
