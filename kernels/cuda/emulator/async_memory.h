// AsyncMemory: a block's shared memory as the copy engine and asynchronous products see it
// (sm_90a): mbarriers, boxes on their way and landed, products that still read, and which thread
// has waited for what. Everything happens as late as it may.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "graft/kernels/cuda/emulator/tensor_map.h"

namespace graft::cuda::emulator {

class BlockRun;

// One product of a warpgroup, as each of its threads remembers it.
struct AsyncProduct {
  float* sums;                                       // the thread's registers
  std::function<void(std::vector<float>&)> execute;  // adds to them
  std::vector<int> boxes;                            // that it reads
  std::vector<int> groups;  // of 16 bytes that threads wrote; the first thread's only
  int64_t group;
};
// What a product reads.
struct ProductReads {
  std::vector<int> boxes, groups;
};

class AsyncMemory {
 public:
  explicit AsyncMemory(BlockRun& run);

  // mbarriers, named by their place in shared memory.
  void init_barrier(int thread, int64_t barrier, int arrivals);
  void publish_barriers(int thread);  // fence.mbarrier_init
  void arrive(int thread, int64_t barrier, int64_t expected_bytes);
  // Whether the phase of this parity is over; lands what is on its way to it. A thread that may
  // pass has then waited.
  bool may_pass(int64_t barrier, int parity);
  bool pass(int thread, int64_t barrier, int parity);
  std::string what_is_missing() const;  // of every mbarrier's phase

  // Begins a copy of a box to rows of 128 bytes from `to` on. Nothing is there until its barrier's
  // phase is over.
  void copy_box(int thread, int64_t barrier, int64_t to, const HostTensorMap& map,
                const BoxPlace& place);

  // A thread's own access to 16 bytes: whether they are a box's, which it checks then.
  bool check_access(int thread, int64_t offset, bool write);
  // The boxes under these 16-byte groups, which a product of threads [first, first + 128) is to
  // read. Groups that threads wrote need a proxy fence and a barrier behind it.
  ProductReads check_operands(int first, std::span<const int> groups);

  // wgmma.fence, mma_async, commit_group, wait_group of one thread.
  void fence_products(int thread) { threads_[static_cast<size_t>(thread)].fenced = true; }
  void begin_product(int thread, float* sums, int count,
                     std::function<void(std::vector<float>&)> execute, const ProductReads& reads);
  void end_product_group(int thread);
  void wait_for_products(int thread, int groups_left);

  // Threads [first, last) met: each knows what the others knew.
  void join(int first, int last);
  // Faults for what is still under way.
  void end() const;

 private:
  struct Barrier {
    int slot = 0;  // behind the threads' clocks
    int arrivals = 0, missing = 0;
    int64_t bytes_missing = 0, phase = 0;  // phases that are over
    int owner = 0;                         // who made it, and when
    int64_t made = 0;
    bool published = false;
    std::vector<int> on_the_way;
    std::vector<int64_t> known, known_at_end;  // by those who arrived; at the end of the last phase
  };
  struct Box {
    int64_t to = 0;
    int64_t barrier = 0, phase = 0;
    HostTensorMap map;
    BoxPlace place{};
    bool landed = false;
    int products = 0;           // of threads, that still read it
    std::vector<int64_t> read;  // when each thread last read it, in its own time
  };
  struct ThreadState {
    std::vector<int64_t>
        clock;  // of each thread, and phases of each barrier, that it knows to be over
    std::vector<AsyncProduct> products;
    std::map<float*, std::vector<float>>
        sums;  // of products under way: what the registers do not show
    int64_t group = 0;
    bool fenced = false;
  };
  Barrier& barrier_at(int thread, int64_t barrier);
  void settle(Barrier& barrier);
  void land(Box& box);
  bool has_seen(int thread, const Box& box) const;
  void require_seen(int thread, const Box& box) const;
  void require_free(int thread, int box, const char* who) const;
  std::vector<int64_t>& clock(int thread) { return threads_[static_cast<size_t>(thread)].clock; }

  BlockRun& run_;
  std::vector<ThreadState> threads_;
  std::map<int64_t, Barrier> barriers_;
  std::vector<Box> boxes_;
  std::vector<int> box_of_;   // of each 16-byte group; -1: none
  std::vector<int> reading_;  // products under way that read what threads wrote there
};

}  // namespace graft::cuda::emulator
