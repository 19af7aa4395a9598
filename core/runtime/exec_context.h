// ExecContext: what a kernel runs with (threads, instruction set). One default for the process; a
// scope may set another.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "graft/core/runtime/instruction_set.h"
#include "graft/core/runtime/thread_pool.h"

namespace graft {

// Any number of threads may run kernels on one context at once: the pool serves one of them, the
// others compute on their own thread. A thread that wants cores of its own has a context of its
// own.
class GRAFT_API ExecContext {
 public:
  // threads 0: GRAFT_THREADS, else one per core that this process may use.
  explicit ExecContext(int threads = 0);
  ExecContext(int threads, InstructionSet instruction_set);

  ThreadPool& pool() { return *pool_; }
  int threads() const { return pool_->threads(); }
  // From 1 to 1024, or 0: as many as at first. Not while another thread runs kernels on the
  // context. The bits of results do not depend on it.
  void set_threads(int threads);
  InstructionSet instruction_set() const { return instruction_set_; }
  void parallel_for(int64_t count, FunctionRef<void(int64_t)> job) {
    pool_->parallel_for(count, job);
  }

  // The two below are for tests, profiles and benchmarks, and for a context of one's own: they are
  // not to be set while another thread runs kernels on the context, the process's default included.

  // Which implementations dispatch may choose, so that tests and benchmarks can run one after
  // another: asked for every candidate of a pass ("conv forward"), best first, by its name
  // ("reference"). Empty by default: all.
  using KernelFilter = std::function<bool(std::string_view pass, std::string_view kernel)>;
  void set_kernel_filter(KernelFilter filter) { kernel_filter_ = std::move(filter); }
  bool allows(std::string_view pass, std::string_view kernel) const {
    return !kernel_filter_ || kernel_filter_(pass, kernel);
  }

  // Called for every kernel that ran, for profiles. Empty by default: profiling is off, nothing is
  // timed.
  struct KernelRun {
    std::string_view pass, kernel;
    std::string arguments{};  // shapes
    double multiply_adds;     // 0: not counted for this op
    double seconds;
  };
  using KernelObserver = std::function<void(const KernelRun&)>;
  void set_kernel_observer(KernelObserver observer) { kernel_observer_ = std::move(observer); }
  const KernelObserver& kernel_observer() const { return kernel_observer_; }

  // To count what memory the tensors of some work take, without the work: kernels that are left out
  // leave their results unset. `numbers`: what is computed of integers or of few elements (shapes,
  // indices) still is. `nothing`: no kernel runs.
  enum class Computing { all, numbers, nothing };
  void set_computing(Computing computing) { computing_ = computing; }
  Computing computing() const { return computing_; }

 private:
  std::unique_ptr<ThreadPool> pool_;
  InstructionSet instruction_set_;
  KernelFilter kernel_filter_;
  KernelObserver kernel_observer_;
  Computing computing_ = Computing::all;
};

// This thread's context: the innermost ScopedExecContext, else the process's default.
GRAFT_API ExecContext& current_context();

// Of the current context: without a scope of one's own, the whole process's.
GRAFT_API void set_threads(int threads);

// Makes `context` current on this thread for the scope.
class GRAFT_API ScopedExecContext {
 public:
  explicit ScopedExecContext(ExecContext& context);
  ~ScopedExecContext();
  ScopedExecContext(const ScopedExecContext&) = delete;
  ScopedExecContext& operator=(const ScopedExecContext&) = delete;

 private:
  ExecContext* previous_;
};

}  // namespace graft
