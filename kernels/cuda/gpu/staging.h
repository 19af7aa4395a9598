// Staging: pinned host memory through which data goes to the device, so that the copy runs while the host goes on.
#pragma once
#include <array>
#include <cstdint>

#include "graft/kernels/cuda/gpu/device.h"

namespace graft::gpu {

// Two buffers in turn: the host fills one while the other is being copied. A buffer is written again once its copy is done.
class Staging {
 public:
  explicit Staging(Device& device) : device_(device) {}
  ~Staging();
  // `from` may change once it returns. bad_input while a graph is captured: it would copy what lies there at every run.
  void upload(void* to, const void* from, int64_t bytes);

 private:
  struct Buffer {
    std::byte* data = nullptr;
    EventId copied = nullptr;
    bool in_use = false;  // a copy from it was queued
  };
  static constexpr int64_t kBytes = 4 << 20;
  void prepare(Buffer& buffer);

  Device& device_;
  std::array<Buffer, 2> buffers_;
  size_t next_ = 0;
};

}  // namespace graft::gpu
