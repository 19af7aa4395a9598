// The engine's kernels for any processor (the compiler's own vectors).
#include "graft/kernels/cpu/isa/map_kernels.h"
#include "graft/kernels/cpu/isa/quantized_kernels.h"
#include "graft/kernels/cpu/isa/tile_kernels.h"

namespace graft::cpu {

constinit const KernelTable<float> portable_f32 = kernel_table<float>("portable");
constinit const KernelTable<double> portable_f64 = kernel_table<double>("portable");
constinit const ChannelKernels<Bf16> portable_bf16_channels = channel_kernels<Bf16>();
constinit const KernelTable<U8> portable_u8 = quantized_table("portable");
constinit const MapKernels<float> portable_f32_maps = map_kernels<float>();
constinit const MapKernels<Bf16> portable_bf16_maps = map_kernels<Bf16>();

}  // namespace graft::cpu
