// Which vector instructions the machine has, and which ones kernels may use
// (GRAFT_ISA=portable|avx2|avx512).
#pragma once
#include <string_view>

#include "graft/core/base/export.h"

namespace graft {

enum class InstructionSet : unsigned char {
  portable,
  avx2,
  avx512,
  avx512_bf16
};  // each includes those before it

constexpr std::string_view name_of(InstructionSet set) {
  constexpr std::string_view names[] = {"portable", "avx2", "avx512", "avx512_bf16"};
  return names[static_cast<int>(set)];
}

// The best that this machine (and its operating system) runs.
GRAFT_API InstructionSet machine_instruction_set();
// The machine's, lowered by GRAFT_ISA. bad_input when the variable names an unknown set or one the
// machine lacks.
GRAFT_API InstructionSet default_instruction_set();

}  // namespace graft
