// Memory for Storage: a caching CPU allocator that keeps its pages, with counters and a
// fault-injection hook.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

#include "graft/core/base/export.h"
#include "graft/core/tensor/device.h"

namespace graft {

struct AllocatorStats {
  int64_t live_bytes = 0;      // handed out now
  int64_t peak_bytes = 0;      // the most handed out at once since reset_peak()
  int64_t reserved_bytes = 0;  // taken from the system: handed out and cached
  int64_t system_calls = 0;    // times memory was asked of the system
  int64_t requests = 0;        // calls of allocate()
};

class GRAFT_API Allocator {
 public:
  virtual ~Allocator() = default;
  virtual Device device() const = 0;
  // At least `bytes` bytes, aligned to 64; never null (bytes 0 gives a valid pointer).
  // Error(resource) when there are none.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void deallocate(void* pointer, int64_t bytes) noexcept = 0;
  // The same with all bytes zero.
  virtual void* allocate_zeroed(int64_t bytes);
  virtual AllocatorStats stats() const = 0;
};

// Keeps freed blocks in size classes (powers of two split in four, above 4 MiB in sixteen; at most
// 1/4 or 1/16 is unused), so a training loop in its steady state asks the system for nothing and
// touches warm pages. Thread-safe.
class GRAFT_API CachingCpuAllocator final : public Allocator {
 public:
  CachingCpuAllocator();
  ~CachingCpuAllocator() override;  // frees the cache
  Device device() const override { return {}; }
  void* allocate(int64_t bytes) override;
  void deallocate(void* pointer, int64_t bytes) noexcept override;
  void* allocate_zeroed(
      int64_t bytes) override;  // large blocks new from the system are zero without being touched

  AllocatorStats stats() const override;
  void reset_peak();
  void release_cached();  // gives the cached blocks back to the system
  // Tests: called before each allocation with its size; returning true makes it fail as out of
  // memory.
  void set_fault_hook(std::function<bool(int64_t bytes)> hook);

 private:
  struct Impl;
  void* take(int64_t bytes, bool& is_zero);
  Impl* impl_;
};

// The process-wide CPU allocator, never destroyed.
GRAFT_API CachingCpuAllocator& cpu_allocator();

}  // namespace graft
