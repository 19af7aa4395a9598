// The engine's kernels for AVX2 and FMA.
#include "graft/kernels/cpu/isa/map_kernels.h"
#include "graft/kernels/cpu/isa/quantized_kernels.h"
#include "graft/kernels/cpu/isa/tile_kernels.h"

namespace graft::cpu {

constinit const KernelTable<float> avx2_f32 = kernel_table<float>("avx2");
constinit const KernelTable<double> avx2_f64 = kernel_table<double>("avx2");
constinit const ChannelKernels<Bf16> avx2_bf16_channels = channel_kernels<Bf16>();
constinit const KernelTable<U8> avx2_u8 = quantized_table("avx2");
constinit const MapKernels<float> avx2_f32_maps = map_kernels<float>();
constinit const MapKernels<Bf16> avx2_bf16_maps = map_kernels<Bf16>();

}  // namespace graft::cpu
