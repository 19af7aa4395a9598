#include "graft/kernels/cuda/emulator/memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"

namespace graft::cuda::emulator {
namespace {

constexpr int64_t kAlignment = 512;
constexpr int kFresh = 0xff;                          // NaN in every floating type
constexpr uintptr_t kDeviceBit = uintptr_t{1} << 62;  // no processor's user space reaches there

uintptr_t address_of(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

}  // namespace

Memory::~Memory() { drop_all(); }

void Memory::drop_all() {
  for (auto& [address, block] : blocks_) std::free(block.data);
  blocks_.clear();
  last_ = nullptr;
}

void* Memory::allocate(int64_t bytes, const Work& work) {
  const auto rounded = static_cast<size_t>(round_up(std::max<int64_t>(bytes, 1), kAlignment));
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
  if (!data) fail(ErrorCode::resource, "the fake device has no host memory for ", bytes, " bytes");
  std::memset(data, kFresh, rounded);
  const uintptr_t address = address_of(data) | kDeviceBit;
  Block block{address, data, bytes};
  block.written = {work.name, work.stream, work.serial};
  blocks_.emplace(address, std::move(block));
  return reinterpret_cast<void*>(address);
}

void Memory::free(void* pointer, const Work& work) {
  const auto found = blocks_.find(address_of(pointer));
  if (found == blocks_.end() || !found->second.alive)
    fail(ErrorCode::internal, work.name, " frees what is not allocated");
  check_order(found->second, true, work);
  found->second.alive = false;
  found->second.touches = {};
  std::memset(found->second.data, kFresh, static_cast<size_t>(found->second.bytes));
}

int64_t Memory::live() const {
  return std::count_if(blocks_.begin(), blocks_.end(),
                       [](const auto& entry) { return entry.second.alive; });
}

Memory::Block& Memory::find(const void* data, int64_t bytes, const Work& work) {
  const uintptr_t at = address_of(data);
  if (!last_ || at < last_->address ||
      at >= last_->address + static_cast<uintptr_t>(last_->bytes)) {
    auto next = blocks_.upper_bound(at);
    if (next == blocks_.begin())
      fail(ErrorCode::internal, work.name, " uses an address that is not of the device");
    last_ = &std::prev(next)->second;
  }
  if (at + static_cast<uintptr_t>(bytes) > last_->address + static_cast<uintptr_t>(last_->bytes))
    fail(ErrorCode::internal, work.name, " goes past the end of an allocation of ", last_->bytes,
         " bytes");
  if (!last_->alive) fail(ErrorCode::internal, work.name, " uses memory after it was freed");
  return *last_;
}

void Memory::check_order(Block& block, bool write, const Work& work) {
  const auto require = [&](const Use& use, const char* what) {
    if (use.serial >= 0 && use.stream != work.stream && work.clock[use.stream] < use.serial)
      fail(ErrorCode::internal, work.name, write ? " writes" : " reads", " what ", use.name, what,
           " on another stream, and nothing orders the two");
  };
  require(block.written, " writes");
  if (!write) {
    block.read[work.stream] = {work.name, work.stream, work.serial};
    return;
  }
  for (const auto& [stream, use] : block.read) require(use, " reads");
  block.read.clear();
  block.written = {work.name, work.stream, work.serial};
}

std::byte* Memory::check_range(const void* data, int64_t bytes, bool write, const Work& work) {
  Block& block = find(data, bytes, work);
  check_order(block, write, work);
  return block.data + (address_of(data) - block.address);
}

std::byte* Memory::check_element(const void* data, int element_bytes, bool write, const Work& work,
                                 const Place& place) {
  Block& block = find(data, element_bytes, work);
  if (Block::Asked& asked = block.asked[write];  // once a kernel
      asked.serial != work.serial || asked.stream != work.stream) {
    check_order(block, write, work);
    asked = {work.stream, work.serial};
  }
  if (block.touches.empty()) block.touches.resize(static_cast<size_t>(block.bytes));
  const auto offset = static_cast<size_t>(address_of(data) - block.address);
  std::byte* const host = block.data + offset;
  Touch& touch = block.touches[offset];
  if (touch.launch != work.serial) touch = {work.serial, {}, {}, false};
  if (touch.writer.thread >= 0 && !touch.writer.ordered_before(place))
    fail(ErrorCode::internal, work.name, ": block ", place.block, ", thread ", place.thread,
         write ? " writes" : " reads", " the element that block ", touch.writer.block, ", thread ",
         touch.writer.thread, " writes in the same launch");
  if (!write) {
    const bool same = touch.reader.thread >= 0 && touch.reader.block == place.block &&
                      touch.reader.phase == place.phase;
    touch.several_readers = (touch.reader.thread >= 0 && touch.reader.block != place.block) ||
                            touch.several_readers || (same && touch.reader.thread != place.thread);
    touch.reader = place;
    return host;
  }
  if (touch.reader.thread >= 0 && (touch.several_readers || !touch.reader.ordered_before(place)))
    fail(ErrorCode::internal, work.name, ": block ", place.block, ", thread ", place.thread,
         " writes an element that another thread reads in the same launch");
  touch.writer = place;
  return host;
}

}  // namespace graft::cuda::emulator
