#include "graft/core/tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/fork.h"
#include "graft/core/tensor/allocation_limit.h"

namespace graft {
namespace {

thread_local ScopedAllocationLimit* t_limit = nullptr;  // the innermost

constexpr int64_t kAlignment = 64;
constexpr int64_t kPage = 4096;
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kSegment = int64_t{1}
                             << 30;  // of address space: memory is taken as it is first written
// From here on blocks are cut to measure. An address sanitizer sees the ends of blocks of their own
// only.
#if defined(__SANITIZE_ADDRESS__) || defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
constexpr int64_t kLarge = int64_t{1} << 60;
#else
constexpr int64_t kLarge = int64_t{1} << 20;
#endif

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
constexpr bool kKeepsBlocks =
    false;  // exact sizes, freed at once: the sanitizer sees every step outside of a block
#else
constexpr bool kKeepsBlocks = true;
#endif

// What a request takes: large ones whole pages, the others their size class, the next multiple of a
// quarter of their leading power of two.
int64_t block_bytes(int64_t bytes) {
  if (!kKeepsBlocks) return bytes;
  if (bytes <= kAlignment) return kAlignment;
  if (bytes >= kLarge) return round_up(bytes, kPage);
  return round_up(
      bytes, std::max(static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes - 1))) / 4,
                      kAlignment));
}

// Large blocks, cut from segments of address space: the smallest free piece that fits is split,
// neighbours that are free join. So memory that small tensors leave serves large ones, and the most
// in use at once is nearly all that is taken.
class SplitBlocks {
 public:
  // Null when the system has no more. `fresh`: bytes that were never handed out before.
  std::byte* allocate(int64_t bytes, int64_t& fresh) {
    fresh = 0;
    if (const auto found = by_size_.lower_bound({bytes, nullptr}); found != by_size_.end()) {
      const auto [size, at] = *found;
      erase(at, size);
      if (size > bytes) insert(at + bytes, size - bytes);
      return at;
    }
    Segment* segment = segment_with_room(bytes);
    if (!segment) return nullptr;
    std::byte* at = segment->end;
    if (const auto last = free_before(at);
        last != by_address_.end() && at != segment->begin) {  // it ends where the fresh part begins
      at = last->first;
      erase(at, last->second);
    }
    fresh = bytes - (segment->end - at);
    segment->end = at + bytes;
    return at;
  }

  void deallocate(std::byte* at, int64_t bytes) {
    if (const auto before = free_before(at); before != by_address_.end() && !begins_segment(at)) {
      const auto [first, size] = *before;
      erase(first, size);
      at = first, bytes += size;
    }
    if (const auto after = by_address_.find(at + bytes);
        after != by_address_.end() && !begins_segment(at + bytes)) {
      const int64_t size = after->second;
      erase(after->first, size);
      bytes += size;
    }
    insert(at, bytes);
  }

  // Gives the memory of free pieces back to the system; returns how much. The address space stays.
  int64_t release() {
    int64_t released = 0;
    for (Segment& segment : segments_)
      if (const auto last = free_before(segment.end);
          last != by_address_.end() && segment.end != segment.begin) {
        const auto [at, size] = *last;
        erase(at, size);
        ::madvise(at, static_cast<size_t>(size), MADV_DONTNEED);
        segment.end = at;
        released += size;
      }
    for (const auto& [at, size] : by_address_)
      ::madvise(at, static_cast<size_t>(size), MADV_DONTNEED);
    return released;
  }

  ~SplitBlocks() {
    for (const Segment& segment : segments_)
      ::munmap(segment.begin, static_cast<size_t>(segment.bytes));
  }

 private:
  struct Segment {
    std::byte* begin;
    int64_t bytes;
    std::byte* end;  // behind the last byte ever handed out
  };

  Segment* segment_with_room(int64_t bytes) {
    for (Segment& s : segments_) {
      const auto last = free_before(s.end);
      const int64_t before = last != by_address_.end() && s.end != s.begin ? last->second : 0;
      if (s.begin + s.bytes - s.end + before >= bytes) return &s;
    }
    for (const int64_t size :
         {std::max(kSegment, round_up(bytes, kHugePage)), round_up(bytes, kHugePage)}) {
      void* memory = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) continue;
      ::madvise(memory, static_cast<size_t>(size), MADV_HUGEPAGE);  // advice only
      auto* begin = static_cast<std::byte*>(memory);
      segments_.push_back({begin, size, begin});
      return &segments_.back();
    }
    return nullptr;
  }

  // The free piece that ends at `at`.
  std::map<std::byte*, int64_t>::iterator free_before(std::byte* at) {
    auto next = by_address_.lower_bound(at);
    if (next == by_address_.begin()) return by_address_.end();
    --next;
    return next->first + next->second == at ? next : by_address_.end();
  }
  bool begins_segment(const std::byte* at) const {
    return std::any_of(segments_.begin(), segments_.end(),
                       [at](const Segment& s) { return s.begin == at; });
  }
  void insert(std::byte* at, int64_t bytes) {
    const auto placed = by_address_.emplace(at, bytes).first;
    try {
      by_size_.emplace(bytes, at);
    } catch (...) {
      by_address_.erase(placed);
      throw;
    }
  }
  void erase(std::byte* at, int64_t bytes) {
    by_address_.erase(at);
    by_size_.erase({bytes, at});
  }

  std::vector<Segment> segments_;
  std::map<std::byte*, int64_t> by_address_;
  std::set<std::pair<int64_t, std::byte*>> by_size_;
};

}  // namespace

ScopedAllocationLimit::ScopedAllocationLimit(int64_t bytes, LimitedBytes counted)
    : bytes_(bytes), left_(bytes), counted_(counted), outer_(std::exchange(t_limit, this)) {}
ScopedAllocationLimit::~ScopedAllocationLimit() { t_limit = outer_; }

void charge_allocation(int64_t bytes) {
  if (!t_limit) return;
  int64_t& left = t_limit->left_;
  t_limit->was_reached_ = t_limit->was_reached_ || bytes > left;
  GRAFT_CHECK(bytes <= left, "asks for ", bytes, " bytes of memory where ", left,
              " are left to it");
  left -= bytes;
}

// At most back to the beginning: what was taken before the limit began may be freed within it.
void credit_allocation(int64_t bytes) noexcept {
  if (!t_limit || t_limit->counted_ == LimitedBytes::taken) return;
  t_limit->left_ = std::min(t_limit->bytes_, t_limit->left_ + bytes);
}

struct CachingCpuAllocator::Impl {
  mutable ForkSafeMutex mutex;
  std::map<int64_t, std::vector<void*>> cached;  // size class -> blocks
  SplitBlocks large;
  AllocatorStats stats;
  std::function<bool(int64_t)> fault_hook;

  void release() {
    for (auto& [bytes, blocks] : cached) {
      for (void* block : blocks) std::free(block);
      stats.reserved_bytes -= bytes * static_cast<int64_t>(blocks.size());
    }
    cached.clear();
    stats.reserved_bytes -= large.release();
  }

  // `is_zero`: the block comes from the system as zeros, untouched.
  void* take(int64_t bytes, bool& is_zero) {
    if (bytes >= kLarge) {
      int64_t fresh = 0;
      void* pointer = large.allocate(bytes, fresh);
      is_zero = fresh == bytes;
      if (fresh > 0) ++stats.system_calls, stats.reserved_bytes += fresh;
      return pointer;
    }
    if (const auto found = cached.find(bytes); found != cached.end() && !found->second.empty()) {
      void* pointer = found->second.back();
      found->second.pop_back();
      return pointer;
    }
    ++stats.system_calls;
    void* pointer = nullptr;
    if (::posix_memalign(&pointer, static_cast<size_t>(kAlignment), static_cast<size_t>(bytes)) !=
        0)
      return nullptr;
    if (pointer) stats.reserved_bytes += bytes;
    return pointer;
  }
};

CachingCpuAllocator::CachingCpuAllocator() : impl_(new Impl) {}
CachingCpuAllocator::~CachingCpuAllocator() {
  impl_->release();
  delete impl_;
}

void* Allocator::allocate_zeroed(int64_t bytes) {
  void* pointer = allocate(bytes);
  std::memset(pointer, 0, static_cast<size_t>(bytes));
  return pointer;
}

void* CachingCpuAllocator::allocate(int64_t bytes) {
  bool is_zero = false;
  return take(bytes, is_zero);
}
void* CachingCpuAllocator::allocate_zeroed(int64_t bytes) {
  bool is_zero = false;
  void* pointer = take(bytes, is_zero);
  if (!is_zero) std::memset(pointer, 0, static_cast<size_t>(bytes));
  return pointer;
}

void* CachingCpuAllocator::take(int64_t bytes, bool& is_zero) {
  GRAFT_CHECK(bytes >= 0 && bytes <= (int64_t{1} << 46), "cannot allocate ", bytes, " bytes");
  const int64_t rounded = block_bytes(bytes);
  charge_allocation(bytes);
  std::lock_guard lock(impl_->mutex);
  AllocatorStats& stats = impl_->stats;
  ++stats.requests;
  if (impl_->fault_hook && impl_->fault_hook(bytes))
    fail(ErrorCode::resource, "out of memory: ", bytes, " bytes");
  void* pointer = impl_->take(rounded, is_zero);
  if (!pointer) {  // the cache may hold what is missing
    impl_->release();
    pointer = impl_->take(rounded, is_zero);
  }
  if (!pointer)
    fail(ErrorCode::resource, "out of memory: ", bytes, " bytes (", stats.live_bytes, " in use)");
  stats.live_bytes += rounded;
  stats.peak_bytes = std::max(stats.peak_bytes, stats.live_bytes);
  return pointer;
}

void CachingCpuAllocator::deallocate(void* pointer, int64_t bytes) noexcept {
  if (!pointer) return;
  credit_allocation(bytes);
  const int64_t rounded = block_bytes(bytes);
  std::lock_guard lock(impl_->mutex);
  impl_->stats.live_bytes -= rounded;
  if (!kKeepsBlocks) {
    std::free(pointer);
    impl_->stats.reserved_bytes -= rounded;
    return;
  }
  try {
    if (rounded >= kLarge)
      impl_->large.deallocate(static_cast<std::byte*>(pointer), rounded);
    else
      impl_->cached[rounded].push_back(pointer);
  } catch (...) {  // no memory for the list itself: give the block's memory back
    if (rounded >= kLarge)
      ::madvise(pointer, static_cast<size_t>(rounded), MADV_DONTNEED);
    else
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
