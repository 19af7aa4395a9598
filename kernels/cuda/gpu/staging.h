// Staging: how data of the host's goes to the device: through pinned memory, so that the copy runs
// while the host goes on, and what is large beside the compute stream, so that it runs while the
// work queued before goes on too.
#pragma once
#include <array>
#include <cstdint>
#include <memory>

#include "graft/kernels/cuda/gpu/handles.h"

namespace graft::gpu {

// Small uploads stand in the compute stream's order. A large one is copied on a stream of its own
// to one of two landings, places that nobody else uses; the compute stream waits for it behind all
// that is queued, and copies it to where it belongs. So a batch that is uploaded behind a queued
// step crosses while that step runs. Two landings of the largest upload, at most 256 MiB each, stay
// allocated.
class Staging {
 public:
  explicit Staging(Device& device) : device_(device) {}
  ~Staging();
  // `from` may change once it returns. bad_input while a graph is captured: it would copy what lies
  // there at every run.
  void upload(void* to, const void* from, int64_t bytes);

 private:
  // Pinned memory, written again once its copy is done.
  struct Slot {
    std::byte* data = nullptr;
    std::unique_ptr<Event> copied;
    bool in_use = false;  // a copy from it was queued
  };
  struct Landing {
    void* data = nullptr;
    int64_t bytes = 0;
    std::unique_ptr<Event> copied, taken;  // on the stream of copies, on the compute stream
  };
  static constexpr int64_t kSmallBytes = 4 << 10, kPartBytes = 4 << 20, kLandingBytes = 256 << 20;

  void copy_through(Slot& slot, int64_t slot_bytes, void* to, const void* from, int64_t bytes,
                    StreamId stream);
  Landing& next_landing(int64_t bytes);
  void upload_beside(std::byte* to, const std::byte* from, int64_t bytes);

  Device& device_;
  std::unique_ptr<SideStream> copies_;  // made by the first large upload
  std::array<Slot, 16> small_;
  std::array<Slot, 2> parts_;
  std::array<Landing, 2> landings_;
  size_t next_small_ = 0, next_part_ = 0, next_landing_ = 0;
};

}  // namespace graft::gpu
