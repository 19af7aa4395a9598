// graft's one thread pool: fixed workers that spin briefly, then park. Shared by kernels and the
// data loader.
#pragma once
#include <cstdint>
#include <memory>

#include "graft/core/base/export.h"
#include "graft/core/base/function_ref.h"

namespace graft {

class GRAFT_API ThreadPool {
 public:
  // `threads` counts the caller: 1 means that everything runs inline.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Those asked for; after the first parallel_for() those that could be started, where the system
  // allowed fewer (report_thread_shortage() then told).
  int threads() const;
  // Calls job(i) for every i in [0, count), in any order and on any thread, and returns when all
  // are done. The caller works too. Nested calls and calls while another thread is using the pool
  // run inline. The first exception a job throws is rethrown here; jobs not yet started are then
  // skipped. After fork() the child makes its workers anew.
  void parallel_for(int64_t count, FunctionRef<void(int64_t)> job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft
