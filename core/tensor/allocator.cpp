#include "graft/core/tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "graft/core/base/checked_math.h"

namespace graft {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kLarge = int64_t{4} << 20;

// The size class of a request: the next multiple of a part of its leading power of two, at least 64 bytes. A quarter, but
// a sixteenth for the large ones: they are the activations, few in number and most of the memory.
int64_t class_bytes(int64_t bytes) {
  if (bytes <= kAlignment) return kAlignment;
  const int64_t part = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes - 1))) / (bytes > kLarge ? 16 : 4);
  return round_up(bytes, std::max(part, kAlignment));
}

void* system_allocate(int64_t bytes) {
  const bool huge = bytes >= kHugePage;
  const int64_t alignment = huge ? kHugePage : kAlignment;
  void* pointer = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(round_up(bytes, alignment)));
  if (pointer && huge) ::madvise(pointer, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // advice only
  return pointer;
}

}  // namespace

struct CachingCpuAllocator::Impl {
  mutable std::mutex mutex;
  std::map<int64_t, std::vector<void*>> cached;  // size class -> blocks
  AllocatorStats stats;
  std::function<bool(int64_t)> fault_hook;

  void release() {
    for (auto& [bytes, blocks] : cached) {
      for (void* block : blocks) std::free(block);
      stats.reserved_bytes -= bytes * static_cast<int64_t>(blocks.size());
    }
    cached.clear();
  }
};

CachingCpuAllocator::CachingCpuAllocator() : impl_(new Impl) {}
CachingCpuAllocator::~CachingCpuAllocator() {
  impl_->release();
  delete impl_;
}

void* CachingCpuAllocator::allocate(int64_t bytes) {
  GRAFT_CHECK(bytes >= 0 && bytes <= (int64_t{1} << 46), "cannot allocate ", bytes, " bytes");
  const int64_t rounded = class_bytes(bytes);
  std::lock_guard lock(impl_->mutex);
  AllocatorStats& stats = impl_->stats;
  ++stats.requests;
  if (impl_->fault_hook && impl_->fault_hook(bytes)) fail(ErrorCode::resource, "out of memory: ", bytes, " bytes");
  void* pointer = nullptr;
  if (const auto found = impl_->cached.find(rounded); found != impl_->cached.end() && !found->second.empty()) {
    pointer = found->second.back();
    found->second.pop_back();
  } else {
    ++stats.system_calls;
    pointer = system_allocate(rounded);
    if (!pointer) {  // the cache may hold what is missing
      impl_->release();
      pointer = system_allocate(rounded);
    }
    if (!pointer) fail(ErrorCode::resource, "out of memory: ", bytes, " bytes (", stats.live_bytes, " in use)");
    stats.reserved_bytes += rounded;
  }
  stats.live_bytes += rounded;
  stats.peak_bytes = std::max(stats.peak_bytes, stats.live_bytes);
  return pointer;
}

void CachingCpuAllocator::deallocate(void* pointer, int64_t bytes) noexcept {
  if (!pointer) return;
  const int64_t rounded = class_bytes(bytes);
  std::lock_guard lock(impl_->mutex);
  impl_->stats.live_bytes -= rounded;
  try {
    impl_->cached[rounded].push_back(pointer);
  } catch (...) {  // no memory for the list itself: give the block back
    std::free(pointer);
    impl_->stats.reserved_bytes -= rounded;
  }
}

AllocatorStats CachingCpuAllocator::stats() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->stats;
}
void CachingCpuAllocator::reset_peak() {
  std::lock_guard lock(impl_->mutex);
  impl_->stats.peak_bytes = impl_->stats.live_bytes;
}
void CachingCpuAllocator::release_cached() {
  std::lock_guard lock(impl_->mutex);
  impl_->release();
}
void CachingCpuAllocator::set_fault_hook(std::function<bool(int64_t)> hook) {
  std::lock_guard lock(impl_->mutex);
  impl_->fault_hook = std::move(hook);
}

CachingCpuAllocator& cpu_allocator() {
  static CachingCpuAllocator* instance = new CachingCpuAllocator;
  return *instance;
}

}  // namespace graft
