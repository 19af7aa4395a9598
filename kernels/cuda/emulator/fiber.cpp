#include "graft/kernels/cuda/emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <utility>

#include "graft/core/base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace graft::cuda::emulator {
namespace {

constexpr size_t kStack = 256 << 10;

// AddressSanitizer has to be told of every change of stacks.
void announce_switch([[maybe_unused]] void** saved, [[maybe_unused]] const void* bottom,
                     [[maybe_unused]] size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(saved, bottom, size);
#endif
}
void finish_switch([[maybe_unused]] void* saved, [[maybe_unused]] const void** bottom,
                   [[maybe_unused]] size_t* size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(saved, bottom, size);
#endif
}

}  // namespace

Fiber::Fiber()
    : stack_(static_cast<std::byte*>(
          ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
  if (stack_ == MAP_FAILED) fail(ErrorCode::resource, "no memory for a fiber's stack");
}
Fiber::~Fiber() { ::munmap(stack_, kStack); }

void Fiber::start(std::function<void()> work) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, kStack);  // frames that were dropped
#endif
  work_ = std::move(work);
  error_ = nullptr;
  ended_ = false;
  inside_fake_ = nullptr;
  ::getcontext(&inside_);
  inside_.uc_stack.ss_sp = stack_;
  inside_.uc_stack.ss_size = kStack;
  inside_.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  ::makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

void Fiber::enter(unsigned high, unsigned low) {
  reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32) | low)->main();
}

void Fiber::main() {
  finish_switch(nullptr, &outside_bottom_, &outside_size_);
  try {
    work_();
  } catch (...) {
    error_ = std::current_exception();
  }
  ended_ = true;
  announce_switch(nullptr, outside_bottom_, outside_size_);  // null: this stack's frames are gone
  ::setcontext(&outside_);
}

bool Fiber::resume() {
  announce_switch(&outside_fake_, stack_, kStack);
  ::swapcontext(&outside_, &inside_);
  finish_switch(outside_fake_, nullptr, nullptr);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  return ended_;
}

void Fiber::yield() {
  announce_switch(&inside_fake_, outside_bottom_, outside_size_);
  ::swapcontext(&inside_, &outside_);
  finish_switch(inside_fake_, &outside_bottom_, &outside_size_);
}

}  // namespace graft::cuda::emulator
