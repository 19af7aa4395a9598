// The engine's kernels for any processor (the compiler's own vectors).
#include "graft/kernels/cpu/isa/tile_kernels.h"

namespace graft::cpu {

constinit const KernelTable<float> portable_f32 = kernel_table<float>("portable");
constinit const KernelTable<double> portable_f64 = kernel_table<double>("portable");
constinit const ChannelKernels<Bf16> portable_bf16_channels = channel_kernels<Bf16>();

}  // namespace graft::cpu
