// launch<Body>(): the one way a kernel of graft starts, on the GPU and on the emulator. A body is a
// struct with `name`, `cooperates` (its threads meet: barriers, shared memory, warps), a plain
// struct Args and a template run(Thread&, Args). It may say `threads`, the most that a block of it
// has, and `only_sm_90a`: no other GPU's code has it, and the launcher looks.
#pragma once
#include <type_traits>

#include "graft/kernels/cuda/device/host_device.h"
#include "graft/kernels/cuda/gpu/device.h"
#if defined(__CUDACC__)
#include "graft/kernels/cuda/device/thread.h"
#else
#include "graft/kernels/cuda/emulator/thread.h"
#endif

namespace graft::cuda {

inline constexpr int kThreads = 256;  // of a block, where a kernel has no reason for another number

template <class Body>
constexpr int most_threads() {
  if constexpr (requires { Body::threads; })
    return Body::threads;
  else
    return kThreads;
}

// Whether this build has code for sm_90a, the emulator's too. The build says so
// (cmake/GraftCuda.cmake): without it such a body is an empty kernel everywhere, and must decline.
#if GRAFT_EMULATED || defined(GRAFT_SM90A)
inline constexpr bool kHasSm90a = true;
#else
inline constexpr bool kHasSm90a = false;
#endif

#if defined(__CUDACC__)
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool kIsSm90a = false;
#else
inline constexpr bool kIsSm90a = true;  // on the host too: there nothing of a body is run
#endif
template <class Body>
__global__ void __launch_bounds__(most_threads<Body>(), 1)
    device_entry(const __grid_constant__ typename Body::Args args) {
  if constexpr (requires { Body::only_sm_90a; } && !kIsSm90a) {
    __trap();
  } else {
    Thread thread;
    Body::run(thread, args);
  }
}
template <class Body>
const void* entry_of() {
  return reinterpret_cast<const void*>(&device_entry<Body>);
}
#else
template <class Body>
const void* entry_of() {
  static constexpr emulator::Entry entry{
      [](Thread& thread, const void* args) {
        Body::run(thread, *static_cast<const typename Body::Args*>(args));
      },
      Body::cooperates};
  return &entry;
}
#endif

// `blocks` blocks of `threads` threads (a multiple of 32, at most what the body says). Nothing
// happens without blocks.
template <class Body>
void launch(gpu::Device& device, int64_t blocks, int threads, const typename Body::Args& args,
            int shared_bytes = 0) {
  static_assert(std::is_trivially_copyable_v<typename Body::Args> &&
                sizeof(typename Body::Args) <= 4096);
  GRAFT_ASSERT(Body::cooperates || shared_bytes == 0);
  if (blocks == 0) return;
  device.launch({Body::name, entry_of<Body>(), blocks, threads, shared_bytes, &args, sizeof args});
}

}  // namespace graft::cuda
