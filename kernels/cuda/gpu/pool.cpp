#include "graft/kernels/cuda/gpu/pool.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "graft/core/base/checked_math.h"

namespace graft::gpu {
namespace {

// Multiples of 512 bytes up to 1 MiB, then of an eighth of the power of two below: at most 1/8 is
// unused.
int64_t class_bytes(int64_t bytes) {
  constexpr int64_t grain = 512, large = 1 << 20;
  if (bytes <= large) return std::max(grain, round_up(bytes, grain));
  return round_up(bytes, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes))) / 8);
}

}  // namespace

Pool::~Pool() { release_locked(); }

Status Pool::take(int64_t bytes, void*& pointer) {
  return device_.properties().memory_pools
             ? device_.driver().allocate(bytes, device_.stream(), pointer)
             : device_.driver().allocate_waiting(bytes, pointer);
}

Status Pool::give_back(void* pointer) noexcept {
  return device_.properties().memory_pools ? device_.driver().free(pointer, device_.stream())
                                           : device_.driver().free_waiting(pointer);
}

void* Pool::allocate(int64_t bytes) {
  GRAFT_CHECK(bytes >= 0 && bytes <= (int64_t{1} << 46), "cannot allocate ", bytes, " bytes");
  device_.require_alive();
  const int64_t size = class_bytes(bytes);
  const std::lock_guard lock(mutex_);
  ++stats_.requests;
  void* pointer = nullptr;
  for (auto* cache : {&graph_cached_, &cached_}) {
    if (cache == &graph_cached_ && !in_graph_) continue;
    const auto found = cache->find(size);
    if (pointer || found == cache->end() || found->second.empty()) continue;
    pointer = found->second.back();
    found->second.pop_back();
  }
  if (!pointer) {
    if (in_graph_)
      fail(ErrorCode::resource, device(), ": a graph needs ", bytes,
           " bytes that are not in the pool: run the step once before it is captured");
    ++stats_.system_calls;
    Status status = take(size, pointer);
    if (status.code == Status::Code::out_of_memory) {  // the cache may hold what is missing
      release_locked();
      status = take(size, pointer);
    }
    if (status.code == Status::Code::out_of_memory)
      status.message = str("out of memory: ", bytes, " bytes (", stats_.live_bytes, " in use)");
    device_.check(status, "allocating");
    stats_.reserved_bytes += size;
  }
  if (in_graph_) capturing_[pointer] = size;
  stats_.live_bytes += size;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
  return pointer;
}

void Pool::deallocate(void* pointer, int64_t bytes) noexcept {
  if (!pointer) return;
  const int64_t size = class_bytes(bytes);
  const std::lock_guard lock(mutex_);
  stats_.live_bytes -= size;
  if (in_graph_ && capturing_.contains(pointer))
    graph_cached_[size].push_back(pointer);
  else if (const auto owned = graph_owned_.find(pointer); owned != graph_owned_.end())
    owned->second = false;  // until its graph goes
  else
    cached_[size].push_back(pointer);
}

void Pool::begin_graph() {
  const std::lock_guard lock(mutex_);
  GRAFT_ASSERT(!in_graph_);
  in_graph_ = true;
}

BlockSet Pool::end_graph() {
  const std::lock_guard lock(mutex_);
  in_graph_ = false;
  for (const auto& [pointer, size] : capturing_) graph_owned_[pointer] = true;
  for (const auto& [size, blocks] : graph_cached_)
    for (void* block : blocks) graph_owned_[block] = false;
  graph_cached_.clear();
  return std::exchange(capturing_, {});
}

void Pool::release_graph(const BlockSet& blocks) noexcept {
  const std::lock_guard lock(mutex_);
  for (const auto& [pointer, size] : blocks) {
    const auto owned = graph_owned_.find(pointer);
    if (owned == graph_owned_.end()) continue;
    if (!owned->second) cached_[size].push_back(pointer);
    graph_owned_.erase(owned);
  }
}

AllocatorStats Pool::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Pool::release_cached() {
  const std::lock_guard lock(mutex_);
  release_locked();
}

void Pool::release_locked() noexcept {
  for (auto& [size, blocks] : cached_)
    for (void* block : blocks) {
      if (!device_.lost()) device_.note(give_back(block));
      stats_.reserved_bytes -= size;
    }
  cached_.clear();
}

}  // namespace graft::gpu
