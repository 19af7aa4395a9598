#include "graft/kernels/cpu/engine.h"

namespace graft::cpu {

template <>
const KernelTable<float>& kernel_table_for<float>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_f32;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_f32;
#endif
  static_cast<void>(context);
  return portable_f32;
}

template <>
const KernelTable<double>& kernel_table_for<double>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_f64;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_f64;
#endif
  static_cast<void>(context);
  return portable_f64;
}

template <>
const KernelTable<U8>& kernel_table_for<U8>(const ExecContext& context) {
#if defined(__x86_64__)
  static const bool vnni = __builtin_cpu_supports(
      "avx512vnni");  // what has bfloat16 has it too, but for odd virtual machines
  if (context.instruction_set() >= InstructionSet::avx512_bf16 && vnni) return avx512_vnni_u8;
  if (context.instruction_set() >= InstructionSet::avx2) return avx2_u8;
#endif
  static_cast<void>(context);
  return portable_u8;
}

bool has_bf16(const ExecContext& context) {
#if defined(__x86_64__)
  return context.instruction_set() >= InstructionSet::avx512_bf16;
#else
  static_cast<void>(context);
  return false;
#endif
}

template <>
const KernelTable<Bf16>& kernel_table_for<Bf16>(const ExecContext& context) {
  GRAFT_ASSERT(has_bf16(context));
#if defined(__x86_64__)
  return avx512_bf16;
#else
  fail(ErrorCode::internal, "no bfloat16 kernels in this build");
#endif
}

template <>
const ChannelKernels<Bf16>& channel_kernels_for<Bf16>(const ExecContext& context) {
#if defined(__x86_64__)
  if (has_bf16(context)) return avx512_bf16.channels;
  if (context.instruction_set() == InstructionSet::avx512) return avx512_bf16_channels;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_bf16_channels;
#endif
  static_cast<void>(context);
  return portable_bf16_channels;
}

template <>
const MapKernels<float>& map_kernels_for<float>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_f32_maps;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_f32_maps;
#endif
  static_cast<void>(context);
  return portable_f32_maps;
}

template <>
const MapKernels<Bf16>& map_kernels_for<Bf16>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_bf16_maps;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_bf16_maps;
#endif
  static_cast<void>(context);
  return portable_bf16_maps;
}

template <>
const GroupedKernels<float>& grouped_kernels_for<float>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_f32_grouped;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_f32_grouped;
#endif
  static_cast<void>(context);
  return portable_f32_grouped;
}

template <>
const GroupedKernels<double>& grouped_kernels_for<double>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_f64_grouped;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_f64_grouped;
#endif
  static_cast<void>(context);
  return portable_f64_grouped;
}

template <>
const GroupedKernels<Bf16>& grouped_kernels_for<Bf16>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_bf16_grouped;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_bf16_grouped;
#endif
  static_cast<void>(context);
  return portable_bf16_grouped;
}

template <>
const RowKernels<float>& row_kernels_for<float>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_f32_rows;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_f32_rows;
#endif
  static_cast<void>(context);
  return portable_f32_rows;
}

template <>
const RowKernels<Bf16>& row_kernels_for<Bf16>(const ExecContext& context) {
#if defined(__x86_64__)
  if (context.instruction_set() >= InstructionSet::avx512) return avx512_bf16_rows;
  if (context.instruction_set() == InstructionSet::avx2) return avx2_bf16_rows;
#endif
  static_cast<void>(context);
  return portable_bf16_rows;
}

}  // namespace graft::cpu
