// Span: a kernel's view of global memory. On the GPU it is a pointer; on the emulator every access
// is checked: inside the span, aligned, alive, ordered after what other streams do, and not raced
// by another thread of the launch.
#pragma once
#include <cstdint>

#include "graft/kernels/cuda/device/element.h"

namespace graft::cuda {

#if GRAFT_EMULATED
namespace emulator {
// Where the host finds elements [index, index + count) of `size` at device address `data`. Throws
// Error(internal) when the access is not in order.
void* host_address(const void* data, int64_t size, int64_t index, int count, int element_bytes,
                   bool write);
}  // namespace emulator
#endif

template <class T>
struct Span {
  T* data = nullptr;
  int64_t size = 0;  // in elements
  using Value = std::remove_const_t<T>;

  GRAFT_HD explicit operator bool() const { return data != nullptr; }
  GRAFT_HD Value load(int64_t i) const { return *address<const Value>(i, 1, false); }
  GRAFT_HD void store(int64_t i, Value value) const { *address<Value>(i, 1, true) = value; }
  // Elements [i, i + N); i is a multiple of N and data aligned to the group.
  template <int N>
  GRAFT_HD Group<Value, N> load_group(int64_t i) const {
    return *address<const Group<Value, N>>(i, N, false);
  }
  template <int N>
  GRAFT_HD Words<Value, N> load_words(int64_t i) const {
    const Group<uint32_t, sizeof(T)* N / 4> group =
        *address<const Group<uint32_t, sizeof(T) * N / 4>>(i, N, false);
    Words<Value, N> words;
    for (size_t k = 0; k < sizeof(T) * N / 4; ++k) words.v[k] = group.v[k];
    return words;
  }
  template <int N>
  GRAFT_HD void store_group(int64_t i, const Group<Value, N>& group) const {
    *address<Group<Value, N>>(i, N, true) = group;
  }
  // Where the group lies that a copy beside the block is to read (device/tensor_core.h); it is
  // checked as a load.
  template <int N>
  GRAFT_HD const void* group_address(int64_t i) const {
    return address<const Group<Value, N>>(i, N, false);
  }

 private:
  template <class As>
  GRAFT_HD As* address(int64_t i, [[maybe_unused]] int count, [[maybe_unused]] bool write) const {
#if GRAFT_EMULATED
    return static_cast<As*>(emulator::host_address(data, size, i, count, sizeof(T), write));
#else
    return reinterpret_cast<As*>(data + i);
#endif
  }
};

}  // namespace graft::cuda
