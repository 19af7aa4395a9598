// Pool: device memory for tensors, ordered by the compute stream. Freed blocks are kept by size and
// handed out again at once, because whoever gets one works behind its last user on the same stream.
// A training loop soon asks the driver for nothing.
#pragma once
#include <map>
#include <mutex>
#include <vector>

#include "graft/core/tensor/allocator.h"
#include "graft/kernels/cuda/gpu/device.h"

namespace graft::gpu {

// Blocks that a captured graph writes whenever it runs: nobody else may have them while it lives.
using BlockSet = std::map<void*, int64_t>;  // block -> its size class

class Pool final : public Allocator {
 public:
  explicit Pool(Device& device) : device_(device) {}
  ~Pool() override;  // gives all cached blocks back
  graft::Device device() const override { return device_.id(); }
  void* allocate(int64_t bytes) override;
  void deallocate(void* pointer, int64_t bytes) noexcept override;

  // Between these two, blocks come from the cache alone (a graph cannot ask the driver for memory:
  // run the step once before it is captured) and belong to the graph from then on.
  void begin_graph();
  BlockSet end_graph();
  // The graph is gone: its blocks are as any others.
  void release_graph(const BlockSet& blocks) noexcept;

  AllocatorStats stats() const override;
  void release_cached();  // waits for nothing where the driver frees in the stream's order

 private:
  Status take(int64_t bytes, void*& pointer);
  Status give_back(void* pointer) noexcept;
  void release_locked() noexcept;

  Device& device_;
  mutable std::mutex mutex_;
  std::map<int64_t, std::vector<void*>> cached_;  // size class -> free blocks
  std::map<int64_t, std::vector<void*>>
      graph_cached_;                   // the same of the graph that is being captured
  BlockSet capturing_;                 // blocks that the capture has used so far
  std::map<void*, bool> graph_owned_;  // blocks of all living graphs: whether a tensor has it
  bool in_graph_ = false;
  AllocatorStats stats_;
};

}  // namespace graft::gpu
