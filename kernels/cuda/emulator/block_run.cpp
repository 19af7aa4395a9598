#include "graft/kernels/cuda/emulator/block_run.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "graft/core/base/error.h"

namespace graft::cuda {
namespace emulator {
namespace {

thread_local BlockRun* t_block = nullptr;
thread_local std::vector<std::unique_ptr<Fiber>> t_fibers;  // kept: their stacks are warm

const Entry& entry_of_launch(const gpu::Launch& launch) {
  return *static_cast<const Entry*>(launch.entry);
}

}  // namespace

BlockRun* current_block() { return t_block; }

BlockRun::BlockRun(const gpu::Launch& launch) : launch_(launch) {}

// Nothing of an earlier block is left; memory that it had is used again.
void BlockRun::begin(int64_t block) {
  const auto threads = static_cast<size_t>(launch_.threads);
  const auto shared_bytes = static_cast<size_t>(launch_.shared_bytes);
  block_ = block;
  phase_ = 0;
  warp_phases_.assign(threads / 32, 0);
  waiting_.assign(threads, Meeting::none);
  ended_.assign(threads, false);
  lanes_.assign(threads, 0.f);
  registers_.assign(2 * threads * Thread::kLaneBytes, std::byte{});
  copies_.assign(threads, {});
  shared_.assign(shared_bytes, std::byte{});
  shadow_.assign(shared_bytes, {});
  unfenced_.assign(shared_bytes / 16 + 1, 0);
  async_.reset();
}

void BlockRun::fault(int thread, const std::string& what) const {
  fail(ErrorCode::internal, launch_.name, ": block ", block_, ", thread ", thread, " ", what);
}

Place BlockRun::place(int thread) const {
  return {static_cast<int>(block_), thread, phase_, warp_phases_[static_cast<size_t>(thread / 32)]};
}

void BlockRun::run(int64_t block) {
  begin(block);
  BlockRun* const outer = std::exchange(t_block, this);
  try {
    if (entry_of_launch(launch_).cooperates)
      run_together();
    else
      run_alone();
  } catch (...) {
    t_block = outer;
    throw;
  }
  t_block = outer;
}

void BlockRun::run_alone() {
  for (running_ = 0; running_ < launch_.threads; ++running_) {
    Thread thread(*this, running_, launch_.threads, block_, launch_.blocks);
    entry_of_launch(launch_).run(thread, launch_.args);
  }
}

void BlockRun::run_together() {
  while (t_fibers.size() < static_cast<size_t>(launch_.threads))
    t_fibers.push_back(std::make_unique<Fiber>());
  for (int i = 0; i < launch_.threads; ++i)
    t_fibers[static_cast<size_t>(i)]->start([this, i] {
      Thread thread(*this, i, launch_.threads, block_, launch_.blocks);
      entry_of_launch(launch_).run(thread, launch_.args);
    });
  do {
    for (running_ = 0; running_ < launch_.threads; ++running_) {
      const auto i = static_cast<size_t>(running_);
      if (!ended_[i] && waiting_[i] == Meeting::none) ended_[i] = t_fibers[i]->resume();
    }
  } while (release_meetings());
  const auto left = std::find(ended_.begin(), ended_.end(), false);
  if (left != ended_.end()) {
    const auto thread = static_cast<size_t>(left - ended_.begin());
    fault(static_cast<int>(thread),
          waiting_[thread] == Meeting::phase
              ? "waits for a phase that never ends: " + async_->what_is_missing()
              : "waits at a barrier that other threads never reach");
  }
  if (async_) async_->end();
}

// Lets go `count` threads that all stand at this meeting.
bool BlockRun::release_group(size_t first, size_t count, Meeting meeting) {
  const auto begin = waiting_.begin() + static_cast<std::ptrdiff_t>(first),
             end = begin + static_cast<std::ptrdiff_t>(count);
  if (!std::all_of(begin, end, [&](Meeting m) { return m == meeting; })) return false;
  std::fill(begin, end, Meeting::none);
  if (async_ && (meeting == Meeting::block || meeting == Meeting::warp))
    async_->join(static_cast<int>(first), static_cast<int>(first + count));
  return true;
}

// Lets go whoever stands at a meeting that is complete; false when nobody does.
bool BlockRun::release_meetings() {
  bool any = false;
  for (size_t warp = 0; warp < warp_phases_.size(); ++warp) {
    const Meeting meeting = waiting_[warp * 32];
    if (meeting == Meeting::none || meeting == Meeting::block || meeting == Meeting::warpgroup ||
        meeting == Meeting::phase || !release_group(warp * 32, 32, meeting))
      continue;
    ++warp_phases_[warp];
    any = true;
  }
  for (size_t first = 0; first + 128 <= waiting_.size(); first += 128)
    any = release_group(first, 128, Meeting::warpgroup) || any;
  for (size_t thread = 0; async_ && thread < waiting_.size(); ++thread) {
    if (waiting_[thread] != Meeting::phase ||
        !async_->may_pass(waits_[thread].barrier, waits_[thread].parity))
      continue;
    waiting_[thread] = Meeting::none;
    any = true;
  }
  if (!any && release_group(0, waiting_.size(), Meeting::block)) {
    ++phase_;
    any = true;
  }
  return any;
}

AsyncMemory& BlockRun::async() {
  if (!async_) {
    async_ = std::make_unique<AsyncMemory>(*this);
    waits_.resize(waiting_.size());
    operands_.resize(waiting_.size());
    product_reads_.resize(waiting_.size() / 128 + 1);
  }
  return *async_;
}

void BlockRun::wait_for_phase(int thread, int64_t barrier, int parity) {
  while (!async().pass(thread, barrier, parity)) {
    waits_[static_cast<size_t>(thread)] = {barrier, parity};
    meet(thread, Meeting::phase);
  }
}

void BlockRun::fence_proxy(int thread) {
  std::replace(unfenced_.begin(), unfenced_.end(), static_cast<int16_t>(thread + 1), int16_t{0});
}

void BlockRun::meet(int thread, Meeting meeting) {
  if (!entry_of_launch(launch_).cooperates)
    fault(thread, "meets others in a kernel that says it does not cooperate");
  waiting_[static_cast<size_t>(thread)] = meeting;
  t_fibers[static_cast<size_t>(thread)]->yield();
}

int64_t BlockRun::take_shared(int64_t offset, int64_t bytes) const {
  const int64_t end = offset + (bytes + 15) / 16 * 16;
  if (end > launch_.shared_bytes)
    fault(running_, str("takes ", end, " bytes of shared memory of ", launch_.shared_bytes));
  return end;
}

void BlockRun::check_shared(int thread, int64_t offset, bool write) {
  if (offset < 0)
    fault(thread, write ? "writes outside of an array in shared memory"
                        : "reads outside of an array in shared memory");
  if (async_ && async_->check_access(thread, offset, write)) return;
  if (write) unfenced_[static_cast<size_t>(offset / 16)] = static_cast<int16_t>(thread + 1);
  const Place now = place(thread);
  Shadow& shadow = shadow_[static_cast<size_t>(offset)];
  if (!write && shadow.writer.thread < 0) fault(thread, "reads shared memory that nobody wrote");
  if (shadow.writer.thread >= 0 && !shadow.writer.ordered_before(now))
    fault(thread, str(write ? "writes" : "reads", " shared memory that thread ",
                      shadow.writer.thread, " writes between the same barriers"));
  if (!write) {
    const bool same_phase = shadow.reader.thread >= 0 && shadow.reader.phase == now.phase;
    shadow.several_readers =
        same_phase && (shadow.several_readers || shadow.reader.thread != now.thread);
    shadow.reader = now;
    return;
  }
  if (shadow.reader.thread >= 0 && (!shadow.reader.ordered_before(now) ||
                                    (shadow.several_readers && shadow.reader.phase == now.phase)))
    fault(thread, "writes shared memory that another thread reads between the same barriers");
  shadow = {now, {}, false};
}

// What stood there is gone at once; what comes is there when somebody waited: whoever reads too
// early finds NaNs.
void BlockRun::begin_copy(int thread, const void* from, int64_t to, int bytes) {
  std::memset(shared_.data() + to, 0xff, static_cast<size_t>(bytes));
  Copies& copies = copies_[static_cast<size_t>(thread)];
  copies.under_way.push_back({from, to, bytes, copies.group});
}

void BlockRun::wait_for_copies(int thread, int groups_left) {
  Copies& copies = copies_[static_cast<size_t>(thread)];
  std::erase_if(copies.under_way, [&](const AsyncCopy& copy) {
    if (copy.group >= copies.group - groups_left) return false;
    check_shared(thread, copy.to, true);
    if (copy.from)
      std::memcpy(shared_.data() + copy.to, copy.from, static_cast<size_t>(copy.bytes));
    else
      std::memset(shared_.data() + copy.to, 0, static_cast<size_t>(copy.bytes));
    return true;
  });
}

void check_shared(BlockRun& run, int thread, int64_t offset, bool write) {
  run.check_shared(thread, offset, write);
}
std::byte* shared_memory(BlockRun& run) { return run.shared(); }
int64_t take_shared(BlockRun& run, int64_t offset, int64_t bytes) {
  return run.take_shared(offset, bytes);
}

}  // namespace emulator

void Thread::sync() const { run_.meet(thread_, emulator::BlockRun::Meeting::block); }
void Thread::sync_warp() const { run_.meet(thread_, emulator::BlockRun::Meeting::warp); }

// Two buffers in turn: nobody is two instructions ahead of a lane that still reads.
void Thread::give(emulator::Instruction instruction, const void* registers, int bytes) {
  using Meeting = emulator::BlockRun::Meeting;
  std::memcpy(run_.lane_registers(thread_, ++instructions_ % 2), registers,
              static_cast<size_t>(bytes));
  run_.meet(thread_, instruction == emulator::Instruction::matrix_load ? Meeting::matrix_load
                                                                       : Meeting::matrix_product);
}
const std::byte* Thread::given(int lane) const {
  return run_.lane_registers(thread_ / 32 * 32 + lane, instructions_ % 2);
}

float Thread::exchange(float value, int mask) const {
  run_.lane_value(thread_) = value;
  run_.meet(thread_, emulator::BlockRun::Meeting::exchange);
  const float result = run_.lane_value(thread_ ^ mask);
  run_.meet(thread_, emulator::BlockRun::Meeting::exchange);
  return result;
}

uint32_t Thread::ballot(bool predicate) const {
  run_.lane_value(thread_) = predicate ? 1.f : 0.f;
  run_.meet(thread_, emulator::BlockRun::Meeting::ballot);
  uint32_t bits = 0;
  for (int lane = 0; lane < 32; ++lane)
    if (run_.lane_value(thread_ / 32 * 32 + lane) != 0) bits |= 1u << lane;
  run_.meet(thread_, emulator::BlockRun::Meeting::ballot);
  return bits;
}

}  // namespace graft::cuda
