// ExecContext: what a kernel runs with (threads, instruction set). One default for the process; a scope may set another.
#pragma once
#include <memory>

#include "graft/core/runtime/instruction_set.h"
#include "graft/core/runtime/thread_pool.h"

namespace graft {

class GRAFT_API ExecContext {
 public:
  // threads 0: GRAFT_THREADS, else one per core that this process may use.
  explicit ExecContext(int threads = 0);
  ExecContext(int threads, InstructionSet instruction_set);

  ThreadPool& pool() { return *pool_; }
  int threads() const { return pool_->threads(); }
  InstructionSet instruction_set() const { return instruction_set_; }
  void parallel_for(int64_t count, FunctionRef<void(int64_t)> job) { pool_->parallel_for(count, job); }

 private:
  std::unique_ptr<ThreadPool> pool_;
  InstructionSet instruction_set_;
};

// This thread's context: the innermost ScopedExecContext, else the process's default.
GRAFT_API ExecContext& current_context();

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
