// Switching stacks, which fibers are made of: on x86-64 in a dozen instructions, elsewhere through
// ucontext, which makes two system calls each time.
#pragma once
#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace graft::cuda::emulator {

// Where a stack that does not run goes on.
#if defined(__x86_64__)
using StackPlace = void*;  // its stack pointer; the registers lie there
#else
using StackPlace = ucontext_t;
#endif

// The first switch to `place` calls `main`, which must never return, on this stack.
void begin_stack(StackPlace& place, std::byte* stack, size_t size, void (*main)());
// Keeps the running stack's place in `from` and goes on at `to`.
void switch_stacks(StackPlace& from, StackPlace& to);

}  // namespace graft::cuda::emulator
