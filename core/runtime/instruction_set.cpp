#include "graft/core/runtime/instruction_set.h"

#include "graft/core/base/environment.h"
#include "graft/core/base/error.h"

namespace graft {

InstructionSet machine_instruction_set() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return InstructionSet::avx512_bf16;
  if (avx512) return InstructionSet::avx512;
  if (avx2) return InstructionSet::avx2;
#endif
  return InstructionSet::portable;
}

InstructionSet default_instruction_set() {
  const InstructionSet machine = machine_instruction_set();
  const std::string wanted = environment("GRAFT_ISA");
  if (wanted.empty()) return machine;
  for (const auto set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512,
                         InstructionSet::avx512_bf16}) {
    if (wanted != name_of(set)) continue;
    GRAFT_CHECK(set <= machine, "GRAFT_ISA=", wanted, ": this machine has ", name_of(machine),
                " at most");
    return set;
  }
  bad_input("GRAFT_ISA=", wanted, ": expected portable, avx2, avx512 or avx512_bf16");
}

}  // namespace graft
