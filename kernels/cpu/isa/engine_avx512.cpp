// The engine's kernels for AVX-512 F, BW, DQ, VL.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 on its own _mm512_undefined
#include "graft/kernels/cpu/isa/map_kernels.h"
#include "graft/kernels/cpu/isa/tile_kernels.h"

namespace graft::cpu {

constinit const KernelTable<float> avx512_f32 = kernel_table<float>("avx512");
constinit const KernelTable<double> avx512_f64 = kernel_table<double>("avx512");
constinit const ChannelKernels<Bf16> avx512_bf16_channels = channel_kernels<Bf16>();
constinit const MapKernels<float> avx512_f32_maps = map_kernels<float>();
constinit const MapKernels<Bf16> avx512_bf16_maps = map_kernels<Bf16>();

}  // namespace graft::cpu
