#include "graft/kernels/cuda/gpu/staging.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace graft::gpu {

Staging::~Staging() {
  if (device_.lost()) return;  // nothing can be given back to it
  if (copies_) device_.note(device_.driver().synchronize(copies_->id()));
  const auto give_back = [this](std::span<const Slot> slots) {
    for (const Slot& slot : slots)
      if (slot.data && !device_.lost()) device_.note(device_.driver().free_pinned(slot.data));
  };
  give_back(small_);
  give_back(parts_);
  for (const Landing& landing : landings_) device_.pool().deallocate(landing.data, landing.bytes);
}

// At most slot_bytes, through the slot.
void Staging::copy_through(Slot& slot, int64_t slot_bytes, void* to, const void* from,
                           int64_t bytes, StreamId stream) {
  Driver& driver = device_.driver();
  if (!slot.copied) slot.copied = std::make_unique<Event>(device_);
  if (!slot.data) {
    void* data = nullptr;
    device_.check(driver.allocate_pinned(slot_bytes, data), "allocating pinned memory");
    slot.data = static_cast<std::byte*>(data);
  }
  if (slot.in_use) slot.copied->synchronize();
  slot.in_use = false;
  std::memcpy(slot.data, from, static_cast<size_t>(bytes));
  device_.check(driver.copy(to, slot.data, bytes, CopyKind::to_device, stream), "copy");
  slot.in_use = true;
  slot.copied->record(stream);
}

// The one used longest ago; its last content is taken before what is copied to it from here on.
Staging::Landing& Staging::next_landing(int64_t bytes) {
  Landing& landing = landings_[next_landing_];
  next_landing_ = (next_landing_ + 1) % landings_.size();
  if (!landing.copied) landing.copied = std::make_unique<Event>(device_);
  if (!landing.taken) landing.taken = std::make_unique<Event>(device_);
  if (landing.bytes < bytes) {
    device_.pool().deallocate(std::exchange(landing.data, nullptr),
                              std::exchange(landing.bytes, 0));
    landing.data = device_.pool().allocate(bytes);
    landing.bytes = bytes;
    landing.taken->record(
        device_.stream());  // the block's former user was work of the compute stream
  }
  landing.taken->hold(copies_->id());
  return landing;
}

void Staging::upload_beside(std::byte* to, const std::byte* from, int64_t bytes) {
  if (!copies_) copies_ = std::make_unique<SideStream>(device_);
  Landing& landing = next_landing(bytes);
  for (int64_t done = 0; done < bytes; done += kPartBytes) {
    Slot& slot = parts_[next_part_];
    next_part_ = (next_part_ + 1) % parts_.size();
    copy_through(slot, kPartBytes, static_cast<std::byte*>(landing.data) + done, from + done,
                 std::min(kPartBytes, bytes - done), copies_->id());
  }
  landing.copied->record(copies_->id());
  landing.copied->hold(device_.stream());
  device_.copy(to, landing.data, bytes, CopyKind::on_device);
  landing.taken->record(device_.stream());
}

void Staging::upload(void* to, const void* from, int64_t bytes) {
  GRAFT_CHECK(!device_.capturing(), device_.id(),
              ": a captured graph cannot contain data from the host");
  device_.require_alive();
  if (bytes == 0) return;
  if (bytes <= kSmallBytes) {
    Slot& slot = small_[next_small_];
    next_small_ = (next_small_ + 1) % small_.size();
    return copy_through(slot, kSmallBytes, to, from, bytes, device_.stream());
  }
  for (int64_t done = 0; done < bytes; done += kLandingBytes)
    upload_beside(static_cast<std::byte*>(to) + done, static_cast<const std::byte*>(from) + done,
                  std::min(kLandingBytes, bytes - done));
}

}  // namespace graft::gpu
