#include "graft/kernels/cuda/gpu/staging.h"

#include <algorithm>
#include <cstring>

namespace graft::gpu {

Staging::~Staging() {
  for (const Buffer& buffer : buffers_) {
    if (device_.lost()) return;  // nothing can be given back to it
    if (buffer.data) device_.note(device_.driver().free_pinned(buffer.data));
    if (buffer.copied) device_.note(device_.driver().destroy_event(buffer.copied));
  }
}

void Staging::prepare(Buffer& buffer) {
  Driver& driver = device_.driver();
  if (!buffer.copied) device_.check(driver.create_event(buffer.copied, false), "making an event");
  if (!buffer.data) {
    void* data = nullptr;
    device_.check(driver.allocate_pinned(kBytes, data), "allocating pinned memory");
    buffer.data = static_cast<std::byte*>(data);
  }
  if (buffer.in_use) device_.check(driver.synchronize_event(buffer.copied), "waiting for a copy");
  buffer.in_use = false;
}

void Staging::upload(void* to, const void* from, int64_t bytes) {
  GRAFT_CHECK(!device_.capturing(), device_.id(), ": a captured graph cannot contain data from the host");
  device_.require_alive();
  for (int64_t done = 0; done < bytes; done += kBytes) {
    Buffer& buffer = buffers_[next_];
    next_ = (next_ + 1) % buffers_.size();
    prepare(buffer);
    const int64_t part = std::min(kBytes, bytes - done);
    std::memcpy(buffer.data, static_cast<const std::byte*>(from) + done, static_cast<size_t>(part));
    device_.copy(static_cast<std::byte*>(to) + done, buffer.data, part, CopyKind::to_device);
    buffer.in_use = true;
    device_.check(device_.driver().record(buffer.copied, device_.stream()), "recording an event");
  }
}

}  // namespace graft::gpu
