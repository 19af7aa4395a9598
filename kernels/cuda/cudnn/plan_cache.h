// PlanCache: the plans of one device, built once, bounded in memory and kept on disk; and their
// runs.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "graft/kernels/cuda/cudnn/dnn.h"
#include "graft/kernels/cuda/gpu/device.h"

namespace graft::cudnn {

struct PlanCacheOptions {
  PlanRules rules;
  std::string folder;        // where plans are kept; empty: nowhere
  size_t most_plans = 1024;  // in memory
  size_t most_files = 4096;
  // How many engines are measured for a graph, the fastest of which is taken; 1: cuDNN's first
  // proposal, unmeasured. What was measured is kept like any plan, so that a machine's choices stay
  // the same.
  size_t candidates = 1;
  bool with_handle = false;  // plans are made anew with cuDNN's handle before they run
  static constexpr size_t kAutotune =
      8;  // with GRAFT_CUDNN_AUTOTUNE=1, and what --autotune asks for

  // From GRAFT_CUDA_TF32, GRAFT_CUDNN_DETERMINISTIC, GRAFT_CUDNN_WORKSPACE (MiB),
  // GRAFT_CUDNN_AUTOTUNE, GRAFT_CUDNN_HANDLE=1 (with_handle) and GRAFT_CUDNN_CACHE (a folder or
  // "off"; else graft/cudnn in the user's cache folder).
  static PlanCacheOptions from_environment();
};

class PlanCache {
 public:
  // Opens cuDNN for the device. Where that fails the cache is there and has no plans: why() says
  // the reason.
  PlanCache(gpu::Device& device, PlanCacheOptions options);

  // PlanCacheOptions::candidates for the graphs that come from now on.
  void set_candidates(size_t candidates);
  bool available() const { return dnn_ != nullptr; }
  const std::string& why() const { return why_; }

  // The plan of a graph, or null when no engine takes it (asked once a graph). A plan that was used
  // while a graph was captured stays for good: the captured graph runs its kernels.
  std::shared_ptr<const Plan> find(const ConvGraph& graph);
  // Queues a run on the device's stream, with a workspace of the pool's. A plan that does not run
  // is made anew with cuDNN's handle; from then on so are all others before their first run.
  void run(const Plan& plan, const char* name, std::span<const Binding> bindings);

  struct Stats {
    int64_t built = 0, restored = 0, refused = 0, evicted = 0, measured = 0, for_handle = 0;
  };
  Stats stats() const;

 private:
  struct Entry {
    std::shared_ptr<const Plan> plan;  // null: no engine takes it
    int64_t used = 0;
    bool pinned = false;
  };
  std::unique_ptr<Plan> make(const ConvGraph& graph);
  std::unique_ptr<Plan> fastest(const ConvGraph& graph, std::vector<std::unique_ptr<Plan>> plans);
  std::unique_ptr<Plan> from_disk(const std::string& path, const std::string& key);
  void to_disk(const std::string& path, const std::string& key, const Plan& plan);
  void evict();
  gpu::Status execute(const Plan& plan, std::span<const Binding> bindings, void* workspace,
                      gpu::StreamId stream);
  bool make_for_handle(const Plan& plan);

  gpu::Device& device_;
  PlanCacheOptions options_;
  std::unique_ptr<Dnn> dnn_;
  std::string why_;
  mutable std::mutex mutex_;
  std::map<ConvGraph, Entry> entries_;
  int64_t clock_ = 0;
  Stats stats_;
};

}  // namespace graft::cudnn
