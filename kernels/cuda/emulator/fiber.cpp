#include "graft/kernels/cuda/emulator/fiber.h"

#include <sys/mman.h>

#include <utility>

#include "graft/core/base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace graft::cuda::emulator {
namespace {

constexpr size_t kStack = 256 << 10, kMainFrame = 4 << 10;

thread_local Fiber* t_resumed = nullptr;

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

// The last bytes of a stack, which AddressSanitizer may still know as parts of frames.
void allow_access([[maybe_unused]] std::byte* stack, [[maybe_unused]] size_t size,
                  [[maybe_unused]] size_t last) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack + size - last, last);
#endif
}

}  // namespace

Fiber::Fiber()
    : stack_(static_cast<std::byte*>(
          ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
  if (stack_ == MAP_FAILED) fail(ErrorCode::resource, "no memory for a fiber's stack");
}
Fiber::~Fiber() {
  allow_access(stack_, kStack, kStack);
  ::munmap(stack_, kStack);
}

void Fiber::start(std::function<void()> work) {
  // Frames that never returned: main's own, or all that were dropped.
  allow_access(stack_, kStack, ended_ ? kMainFrame : kStack);
  work_ = std::move(work);
  error_ = nullptr;
  ended_ = false;
  inside_fake_ = nullptr;
  begin_stack(inside_, stack_, kStack, &Fiber::enter);
}

void Fiber::enter() { t_resumed->main(); }

void Fiber::main() {
  finish_switch(nullptr, &outside_bottom_, &outside_size_);
  try {
    work_();
  } catch (...) {
    error_ = std::current_exception();
  }
  ended_ = true;
  announce_switch(nullptr, outside_bottom_, outside_size_);  // null: this stack's frames are gone
  switch_stacks(inside_, outside_);
}

bool Fiber::resume() {
  announce_switch(&outside_fake_, stack_, kStack);
  t_resumed = this;
  switch_stacks(outside_, inside_);
  finish_switch(outside_fake_, nullptr, nullptr);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  return ended_;
}

void Fiber::yield() {
  announce_switch(&inside_fake_, outside_bottom_, outside_size_);
  switch_stacks(inside_, outside_);
  finish_switch(inside_fake_, &outside_bottom_, &outside_size_);
}

}  // namespace graft::cuda::emulator
