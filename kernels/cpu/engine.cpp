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

}  // namespace graft::cpu
