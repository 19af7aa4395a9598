#include "graft/kernels/cuda/emulator/async_memory.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "graft/core/base/text.h"
#include "graft/kernels/cuda/emulator/block_run.h"
#include "graft/kernels/cuda/emulator/fake_driver.h"

namespace graft::cuda::emulator {
namespace {

constexpr int kBarriers = 32, kRowBytes = 2 * gpu::kBoxRow;

void raise(std::vector<int64_t>& clock, const std::vector<int64_t>& other) {
  for (size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

}  // namespace

AsyncMemory::AsyncMemory(BlockRun& run)
    : run_(run),
      threads_(static_cast<size_t>(run.threads())),
      box_of_(static_cast<size_t>(run.shared_bytes() / 16 + 1), -1),
      reading_(box_of_.size()) {
  for (int i = 0; i < run.threads(); ++i)
    clock(i).assign(static_cast<size_t>(run.threads() + kBarriers), 0),
        clock(i)[static_cast<size_t>(i)] = 1;
}

void AsyncMemory::init_barrier(int thread, int64_t place, int arrivals) {
  if (barriers_.contains(place)) run_.fault(thread, "makes an mbarrier twice");
  if (barriers_.size() == kBarriers)
    run_.fault(thread, "makes more mbarriers than the emulator counts");
  Barrier barrier;
  barrier.slot = run_.threads() + static_cast<int>(barriers_.size());
  barrier.arrivals = barrier.missing = arrivals;
  barrier.owner = thread, barrier.made = clock(thread)[static_cast<size_t>(thread)];
  barrier.known.assign(clock(thread).size(), 0);
  barrier.known_at_end = barrier.known;
  barriers_.emplace(place, std::move(barrier));
}
void AsyncMemory::publish_barriers(int thread) {
  for (auto& [place, barrier] : barriers_)
    barrier.published = barrier.published || barrier.owner == thread;
}
AsyncMemory::Barrier& AsyncMemory::barrier_at(int thread, int64_t place) {
  const auto found = barriers_.find(place);
  if (found == barriers_.end() ||
      (found->second.owner != thread &&
       clock(thread)[static_cast<size_t>(found->second.owner)] < found->second.made))
    run_.fault(thread, "uses an mbarrier that may not be made yet");
  if (!found->second.published)
    run_.fault(thread, "uses an mbarrier that the copy engine was not told of");
  return found->second;
}

// Ends the phase where all arrivals and bytes are there. Boxes land only now.
void AsyncMemory::settle(Barrier& barrier) {
  if (barrier.missing > 0) return;
  int64_t bytes = 0;
  for (const int box : barrier.on_the_way)
    bytes += int64_t{kRowBytes} * boxes_[static_cast<size_t>(box)].map.rows();
  if (bytes > barrier.bytes_missing)
    run_.fault_running(
        str("gets ", bytes, " bytes for a barrier that expects ", barrier.bytes_missing));
  if (bytes < barrier.bytes_missing) return;
  for (const int box : barrier.on_the_way) land(boxes_[static_cast<size_t>(box)]);
  barrier.on_the_way.clear();
  barrier.bytes_missing = 0;
  barrier.missing = barrier.arrivals;
  ++barrier.phase;
  barrier.known_at_end = barrier.known;
}

void AsyncMemory::arrive(int thread, int64_t place, int64_t expected_bytes) {
  Barrier& barrier = barrier_at(thread, place);
  settle(barrier);
  if (barrier.missing == 0)
    run_.fault(thread, "arrives at an mbarrier whose phase waits for bytes only");
  barrier.bytes_missing += expected_bytes;
  --barrier.missing;
  raise(barrier.known, clock(thread));
  ++clock(thread)[static_cast<size_t>(thread)];
  if (barrier.on_the_way.empty()) settle(barrier);
}

bool AsyncMemory::may_pass(int64_t place, int parity) {
  Barrier& barrier = barriers_.at(place);
  settle(barrier);
  return barrier.phase % 2 != parity;
}
bool AsyncMemory::pass(int thread, int64_t place, int parity) {
  Barrier& barrier = barrier_at(thread, place);
  if (!may_pass(place, parity)) return false;
  raise(clock(thread), barrier.known_at_end);
  clock(thread)[static_cast<size_t>(barrier.slot)] = barrier.phase;
  return true;
}
std::string AsyncMemory::what_is_missing() const {
  std::string text;
  for (const auto& [place, barrier] : barriers_) {
    int64_t bytes = barrier.bytes_missing;
    for (const int box : barrier.on_the_way)
      bytes -= int64_t{kRowBytes} * boxes_[static_cast<size_t>(box)].map.rows();
    text += str(text.empty() ? "" : "; ", "the mbarrier at ", place, " misses ", barrier.missing,
                " arrivals and ", bytes, " bytes");
  }
  return text;
}

void AsyncMemory::copy_box(int thread, int64_t place, int64_t to, const HostTensorMap& map,
                           const BoxPlace& at) {
  Barrier& barrier = barrier_at(thread, place);
  if (map.magic != HostTensorMap::kMagic)
    run_.fault(thread, "copies by a tensor map that nobody encoded");
  if (to % 1024 != 0)
    run_.fault(thread, "copies a swizzled box to a place that is no multiple of 1,024");
  const int64_t bytes = int64_t{kRowBytes} * map.rows();
  if (to < 0 || to + bytes > run_.shared_bytes())
    run_.fault(thread, "copies a box to a place outside of shared memory");
  const int number = static_cast<int>(boxes_.size());
  for (int64_t group = to / 16; group < (to + bytes) / 16; ++group) {
    if (run_.is_unfenced(group))
      run_.fault(thread, "copies a box over what threads wrote, without a proxy fence");
    if (reading_[static_cast<size_t>(group)] > 0)
      run_.fault(thread, "copies a box over what a product still reads");
    int& box = box_of_[static_cast<size_t>(group)];
    if (box >= 0 && box != number) require_free(thread, box, "copies a box over");
    box = number;
  }
  std::memset(run_.shared() + to, 0xff, static_cast<size_t>(bytes));  // NaNs until it lands
  boxes_.push_back(
      {to, place, barrier.phase, map, at, false, 0, std::vector<int64_t>(threads_.size())});
  barrier.on_the_way.push_back(number);
}

// Rows of 128 bytes; the 16-byte groups of a row change places with bits 7 to 9 of its address.
void AsyncMemory::land(Box& box) {
  for (int row = 0; row < box.map.rows(); ++row) {
    uint16_t elements[gpu::kBoxRow] = {};
    if (const BoxRow there = row_of(box.map, box.place, row); there.data)
      std::memcpy(elements + there.first, host_range(there.data, 2 * there.count),
                  static_cast<size_t>(2 * there.count));
    const int64_t at = box.to + int64_t{kRowBytes} * row;
    for (int64_t group = 0; group < 8; ++group)
      std::memcpy(run_.shared() + (at + ((group ^ (at >> 7 & 7)) << 4)), elements + 8 * group, 16);
  }
  box.landed = true;
}

bool AsyncMemory::has_seen(int thread, const Box& box) const {
  return box.landed &&
         threads_[static_cast<size_t>(thread)]
                 .clock[static_cast<size_t>(barriers_.at(box.barrier).slot)] > box.phase;
}
void AsyncMemory::require_seen(int thread, const Box& box) const {
  if (!has_seen(thread, box)) run_.fault(thread, "uses a box for whose barrier it did not wait");
}
void AsyncMemory::require_free(int thread, int number, const char* who) const {
  const Box& box = boxes_[static_cast<size_t>(number)];
  if (box.products > 0) run_.fault(thread, str(who, " a box that a product still reads"));
  if (!has_seen(thread, box)) run_.fault(thread, str(who, " a box that may still be on its way"));
  for (size_t i = 0; i < threads_.size(); ++i)
    if (threads_[static_cast<size_t>(thread)].clock[i] < box.read[i] &&
        i != static_cast<size_t>(thread))
      run_.fault(thread, str(who, " a box that thread ", i, " reads, and nothing orders the two"));
}

bool AsyncMemory::check_access(int thread, int64_t offset, bool write) {
  if (write && reading_[static_cast<size_t>(offset / 16)] > 0)
    run_.fault(thread, "writes over what a product still reads");
  int& number = box_of_[static_cast<size_t>(offset / 16)];
  if (number < 0) return false;
  Box& box = boxes_[static_cast<size_t>(number)];
  if (write) {
    require_free(thread, number, "writes over");
    number = -1;
    return false;
  }
  require_seen(thread, box);
  box.read[static_cast<size_t>(thread)] = clock(thread)[static_cast<size_t>(thread)];
  return true;
}

ProductReads AsyncMemory::check_operands(int first, std::span<const int> groups) {
  ProductReads result;
  for (const int group : groups) {
    if (group < 0 || group >= run_.shared_bytes() / 16)
      run_.fault(first, "multiplies what lies outside of shared memory");
    const int box = box_of_[static_cast<size_t>(group)];
    if (box >= 0) {
      if (std::find(result.boxes.begin(), result.boxes.end(), box) == result.boxes.end())
        result.boxes.push_back(box);
    } else {
      if (run_.is_unfenced(group))
        run_.fault(first, "multiplies what threads wrote, without a proxy fence");
      run_.check_shared(first, int64_t{group} * 16, false);
      result.groups.push_back(group);
    }
  }
  for (const int box : result.boxes)
    for (int thread = first; thread < first + 128; ++thread)
      require_seen(thread, boxes_[static_cast<size_t>(box)]);
  return result;
}

void AsyncMemory::begin_product(int thread, float* sums, int count,
                                std::function<void(std::vector<float>&)> execute,
                                const ProductReads& reads) {
  ThreadState& state = threads_[static_cast<size_t>(thread)];
  if (!state.fenced) run_.fault(thread, "begins a product without a fence for its registers");
  std::vector<float>& hidden = state.sums[sums];
  if (hidden.empty()) hidden.assign(sums, sums + count);
  std::fill(sums, sums + count, std::numeric_limits<float>::quiet_NaN());
  for (const int box : reads.boxes) ++boxes_[static_cast<size_t>(box)].products;
  state.products.push_back({sums, std::move(execute), reads.boxes, {}, state.group});
  if (thread % 128 != 0) return;  // one thread counts for its warpgroup
  state.products.back().groups = reads.groups;
  for (const int group : reads.groups) ++reading_[static_cast<size_t>(group)];
}
void AsyncMemory::end_product_group(int thread) {
  ThreadState& state = threads_[static_cast<size_t>(thread)];
  ++state.group;
  state.fenced = false;
}
void AsyncMemory::wait_for_products(int thread, int groups_left) {
  ThreadState& state = threads_[static_cast<size_t>(thread)];
  std::erase_if(state.products, [&](const AsyncProduct& product) {
    if (product.group >= state.group - groups_left) return false;
    product.execute(state.sums.at(product.sums));
    for (const int number : product.boxes) {
      Box& box = boxes_[static_cast<size_t>(number)];
      --box.products;
      box.read[static_cast<size_t>(thread)] = state.clock[static_cast<size_t>(thread)];
    }
    for (const int group : product.groups) --reading_[static_cast<size_t>(group)];
    return true;
  });
  std::erase_if(state.sums, [&](auto& entry) {
    if (std::any_of(state.products.begin(), state.products.end(),
                    [&](const AsyncProduct& p) { return p.sums == entry.first; }))
      return false;
    std::copy(entry.second.begin(), entry.second.end(), entry.first);
    return true;
  });
}

void AsyncMemory::join(int first, int last) {
  std::vector<int64_t> all = clock(first);
  for (int i = first + 1; i < last; ++i) raise(all, clock(i));
  for (int i = first; i < last; ++i) clock(i) = all, ++clock(i)[static_cast<size_t>(i)];
}

void AsyncMemory::end() const {
  for (size_t i = 0; i < threads_.size(); ++i)
    if (!threads_[i].products.empty())
      run_.fault(static_cast<int>(i), "ends while a product of it is under way");
  for (const Box& box : boxes_)
    if (!box.landed) run_.fault(0, "ends while a box is on its way");
}

}  // namespace graft::cuda::emulator
