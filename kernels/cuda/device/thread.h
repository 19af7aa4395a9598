// What a kernel's body runs over: its place in the launch, barriers, shared memory and warp
// exchanges. This is the GPU's (nvcc only); emulator/thread.h is its twin on the host.
#pragma once
#include "graft/kernels/cuda/device/host_device.h"

#if !GRAFT_EMULATED
#include <cstdint>

namespace graft::cuda {

// A block's array in shared memory.
template <class T>
class Shared {
 public:
  __device__ explicit Shared(T* data) : data_(data) {}
  __device__ T get(int i) const { return data_[i]; }
  __device__ void set(int i, T value) const { data_[i] = value; }
  // The same memory as elements of another type.
  template <class U>
  __device__ Shared<U> as() const {
    return Shared<U>(reinterpret_cast<U*>(data_));
  }
  // For instructions: element i's address among shared addresses.
  __device__ uint32_t address(int i) const {
    return static_cast<uint32_t>(__cvta_generic_to_shared(data_ + i));
  }

 private:
  T* data_;
};

class Thread {
 public:
  __device__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ int threads() const { return static_cast<int>(blockDim.x); }
  __device__ int64_t block() const { return blockIdx.x; }
  __device__ int64_t blocks() const { return gridDim.x; }
  __device__ int lane() const { return thread() & 31; }
  __device__ void sync() const { __syncthreads(); }
  __device__ void sync_warp() const { __syncwarp(); }

  // The next `count` elements of the launch's shared memory; every thread asks for the same ones in
  // the same order.
  template <class T>
  __device__ Shared<T> shared(int count) {
    extern __shared__ __align__(
        1024) unsigned char graft_shared[];  // as the copy engine's swizzle wants it
    T* data = reinterpret_cast<T*>(graft_shared + offset_);
    offset_ += (count * static_cast<int>(sizeof(T)) + 15) / 16 * 16;
    return Shared<T>(data);
  }

  // The value of the lane whose number differs in the bits of `mask`; all 32 lanes take part.
  __device__ float exchange(float value, int mask) const {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  }
  // Bit i: lane i's predicate.
  __device__ uint32_t ballot(bool predicate) const { return __ballot_sync(0xffffffffu, predicate); }

 private:
  int offset_ = 0;
};

}  // namespace graft::cuda
#endif
