// A block of bytes with an owner and a version. The version counts writes: plans, packed weights
// and autograd's saved tensors are keyed by (storage, version).
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "graft/core/tensor/allocator.h"

namespace graft {

struct RoundedCopy;

class GRAFT_API Storage {
 public:
  enum class Content { unset, zero };
  Storage(Allocator& allocator, int64_t bytes, Content content = Content::unset)
      : allocator_(allocator),
        bytes_(bytes),
        data_(static_cast<std::byte*>(content == Content::zero ? allocator.allocate_zeroed(bytes)
                                                               : allocator.allocate(bytes))),
        id_(next_id()) {}
  // Memory of somebody else's, on the host: never freed here. `owner` (may be null) is let go with
  // the storage.
  Storage(void* borrowed, int64_t bytes, std::shared_ptr<const void> owner)
      : allocator_(cpu_allocator()),
        bytes_(bytes),
        data_(static_cast<std::byte*>(borrowed)),
        id_(next_id()),
        is_borrowed_(true),
        owner_(std::move(owner)) {}
  ~Storage() {
    if (!is_borrowed_) allocator_.deallocate(data_, bytes_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  const std::byte* data() const { return data_; }
  // For writing: bumps the version first.
  std::byte* mutable_data() {
    version_.fetch_add(1, std::memory_order_relaxed);
    return data_;
  }
  int64_t bytes() const { return bytes_; }
  uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  uint64_t id() const { return id_; }  // never reused in a process
  Device device() const { return allocator_.device(); }
  bool is_borrowed() const { return is_borrowed_; }
  // rounded_copy.h's.
  std::shared_ptr<RoundedCopy>& rounded_copy() { return rounded_copy_; }

 private:
  static uint64_t next_id();

  Allocator& allocator_;
  int64_t bytes_;
  std::byte* data_;
  uint64_t id_;
  std::atomic<uint64_t> version_{0};
  std::shared_ptr<RoundedCopy> rounded_copy_;
  bool is_borrowed_ = false;
  std::shared_ptr<const void> owner_;
};

}  // namespace graft
