#include "graft/kernels/cuda/emulator/stack_switch.h"

#if defined(__x86_64__)

// Saves the registers that a call preserves on the running stack and takes those of the other one.
asm(R"(
  .text
  .p2align 4
  .globl graft_switch_stacks
  .hidden graft_switch_stacks
  .type graft_switch_stacks, @function
graft_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size graft_switch_stacks, .-graft_switch_stacks
)");
extern "C" void graft_switch_stacks(void** from, void* to);

namespace graft::cuda::emulator {

void begin_stack(StackPlace& place, std::byte* stack, size_t size, void (*main)()) {
  // From below: six registers, what the switch returns to, and the return address of that.
  constexpr size_t kRegisters = 6;
  void** const top = reinterpret_cast<void**>(stack + size) - (kRegisters + 2);
  for (size_t i = 0; i < kRegisters; ++i) top[i] = nullptr;
  top[kRegisters] = reinterpret_cast<void*>(main);
  top[kRegisters + 1] = nullptr;
  place = top;
}
void switch_stacks(StackPlace& from, StackPlace& to) { graft_switch_stacks(&from, to); }

}  // namespace graft::cuda::emulator

#else

namespace graft::cuda::emulator {

void begin_stack(StackPlace& place, std::byte* stack, size_t size, void (*main)()) {
  ::getcontext(&place);
  place.uc_stack.ss_sp = stack;
  place.uc_stack.ss_size = size;
  place.uc_link = nullptr;
  ::makecontext(&place, main, 0);
}
void switch_stacks(StackPlace& from, StackPlace& to) { ::swapcontext(&from, &to); }

}  // namespace graft::cuda::emulator

#endif
