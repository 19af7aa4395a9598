// BlockRun: the blocks of a launch on the host, one after the other: a block's threads in turn,
// their meetings, and the shadow of its shared memory.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/kernels/cuda/emulator/async_memory.h"
#include "graft/kernels/cuda/emulator/fiber.h"
#include "graft/kernels/cuda/emulator/thread.h"
#include "graft/kernels/cuda/gpu/driver.h"

namespace graft::cuda::emulator {

// What the lanes of a warp execute together.
enum class Instruction : unsigned char { matrix_load, matrix_product };

// A copy to shared memory that runs beside the block: nothing is there until the thread has waited
// for it.
struct AsyncCopy {
  const void* from;  // on the host; null: zeros
  int64_t to;        // in shared memory
  int bytes;
  int64_t group;  // the number of its group, in the thread's order
};

// Who touched something last, and between which barriers. Small: each element in use has two.
struct Place {
  int block = -1;
  int thread = -1;
  int phase = -1;       // barriers of the block before it
  int warp_phase = -1;  // meetings of the warp before it

  // A barrier, or a meeting of their warp, lies between the two; or they are one thread.
  bool ordered_before(const Place& later) const {
    if (block != later.block) return false;
    if (thread == later.thread || phase < later.phase) return true;
    return thread / 32 == later.thread / 32 && warp_phase < later.warp_phase;
  }
};

class BlockRun {
 public:
  explicit BlockRun(const gpu::Launch& launch);
  // All threads of the block to their end; Error(internal) names kernel, block and thread.
  void run(int64_t block);

  // For Thread.
  enum class Meeting : unsigned char {
    none,
    block,
    warp,
    exchange,
    ballot,
    matrix_load,
    matrix_product,
    warpgroup,
    phase
  };
  void meet(int thread, Meeting meeting);
  // Until the mbarrier's phase of this parity is over.
  void wait_for_phase(int thread, int64_t barrier, int parity);
  // What sm_90a does beside the block; made when it is first used.
  AsyncMemory& async();
  // What the threads of a warpgroup bring to a product, and what it reads.
  struct Operands {
    uint64_t a, b;
  };
  Operands& operands(int thread) { return operands_[static_cast<size_t>(thread)]; }
  ProductReads& product_reads(int thread) {
    return product_reads_[static_cast<size_t>(thread / 128)];
  }
  // fence.proxy.async: what the thread wrote may be read by the copy engine and by products.
  void fence_proxy(int thread);
  bool is_unfenced(int64_t group) const { return unfenced_[static_cast<size_t>(group)] != 0; }
  float& lane_value(int thread) { return lanes_[static_cast<size_t>(thread)]; }
  std::byte* lane_registers(int thread, int buffer) {
    return &registers_[static_cast<size_t>((2 * thread + buffer) * Thread::kLaneBytes)];
  }
  void begin_copy(int thread, const void* from, int64_t to, int bytes);
  void end_copy_group(int thread) { ++copies_[static_cast<size_t>(thread)].group; }
  void wait_for_copies(int thread, int groups_left);
  void check_shared(int thread, int64_t offset, bool write);
  int64_t take_shared(int64_t offset, int64_t bytes) const;
  std::byte* shared() { return shared_.data(); }
  Place place(int thread) const;
  Place running_place() const { return place(running_); }
  [[noreturn]] void fault(int thread, const std::string& what) const;
  [[noreturn]] void fault_running(const std::string& what) const { fault(running_, what); }
  int threads() const { return launch_.threads; }
  int64_t shared_bytes() const { return launch_.shared_bytes; }

 private:
  struct Shadow {
    Place writer, reader;
    bool several_readers = false;
  };
  void begin(int64_t block);
  void run_alone();
  void run_together();
  bool release_meetings();
  bool release_group(size_t first, size_t count, Meeting meeting);

  const gpu::Launch& launch_;
  int64_t block_ = -1;
  int running_ = -1;
  int phase_ = 0;
  std::vector<int> warp_phases_;
  std::vector<Meeting> waiting_;
  std::vector<bool> ended_;
  std::vector<float> lanes_;
  struct Copies {
    std::vector<AsyncCopy> under_way;
    int64_t group = 0;
  };
  std::vector<std::byte> registers_;  // [threads][2][kLaneBytes]
  std::vector<Copies> copies_;        // of each thread
  std::vector<std::byte> shared_;
  std::vector<Shadow> shadow_;  // of each element, at its first byte
  std::vector<int16_t>
      unfenced_;  // of each 16 bytes: the thread that wrote them since its last proxy fence, + 1
  std::unique_ptr<AsyncMemory> async_;
  struct Wait {
    int64_t barrier;
    int parity;
  };
  std::vector<Wait> waits_;  // of threads at Meeting::phase
  std::vector<Operands> operands_;
  std::vector<ProductReads> product_reads_;  // of each warpgroup
};

// The block that runs on this host thread; null outside of launches.
BlockRun* current_block();

}  // namespace graft::cuda::emulator
