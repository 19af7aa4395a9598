// Fibers: threads of a block on one host thread. Each has a stack of its own and runs until it
// yields or ends.
#pragma once
#include <cstddef>
#include <exception>
#include <functional>

#include "graft/kernels/cuda/emulator/stack_switch.h"

namespace graft::cuda::emulator {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next resume() starts `work` on a fresh stack; whatever ran before is dropped.
  void start(std::function<void()> work);
  // Runs until the work yields (false) or ends (true). What the work throws is thrown here.
  bool resume();
  // Called by the work itself: back to resume().
  void yield();

 private:
  static void enter();
  void main();

  std::byte* stack_;
  StackPlace inside_{}, outside_{};
  std::function<void()> work_;
  std::exception_ptr error_;
  bool ended_ = true;
  void *inside_fake_ = nullptr, *outside_fake_ = nullptr;  // AddressSanitizer's stacks
  const void* outside_bottom_ = nullptr;
  size_t outside_size_ = 0;
};

}  // namespace graft::cuda::emulator
