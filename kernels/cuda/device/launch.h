// launch<Body>(): the one way a kernel of graft starts, on the GPU and on the emulator. A body is a struct with `name`,
// `cooperates` (its threads meet: barriers, shared memory, warps), a plain struct Args and a template run(Thread&, Args).
#pragma once
#include <type_traits>

#include "graft/kernels/cuda/gpu/device.h"
#if defined(__CUDACC__)
#include "graft/kernels/cuda/device/thread.h"
#else
#include "graft/kernels/cuda/emulator/thread.h"
#endif

namespace graft::cuda {

inline constexpr int kThreads = 256;  // of a block, where a kernel has no reason for another number

#if defined(__CUDACC__)
template <class Body>
__global__ void __launch_bounds__(kThreads, 1) device_entry(const __grid_constant__ typename Body::Args args) {
  Thread thread;
  Body::run(thread, args);
}
template <class Body>
const void* entry_of() {
  return reinterpret_cast<const void*>(&device_entry<Body>);
}
#else
template <class Body>
const void* entry_of() {
  static constexpr emulator::Entry entry{
      [](Thread& thread, const void* args) { Body::run(thread, *static_cast<const typename Body::Args*>(args)); }, Body::cooperates};
  return &entry;
}
#endif

// `blocks` blocks of `threads` threads (a multiple of 32, at most kThreads). Nothing happens without blocks.
template <class Body>
void launch(gpu::Device& device, int64_t blocks, int threads, const typename Body::Args& args, int shared_bytes = 0) {
  static_assert(std::is_trivially_copyable_v<typename Body::Args> && sizeof(typename Body::Args) <= 4096);
  GRAFT_ASSERT(Body::cooperates || shared_bytes == 0);
  if (blocks == 0) return;
  device.launch({Body::name, entry_of<Body>(), blocks, threads, shared_bytes, &args, sizeof args});
}

}  // namespace graft::cuda
