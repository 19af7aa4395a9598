#include "graft/core/runtime/exec_context.h"

#include <gtest/gtest.h>

#include <atomic>

#include "graft/core/base/error.h"

namespace graft {
namespace {

TEST(ExecContext, ThreadsAreSetInOneCall) {
  ExecContext context(1);
  const ScopedExecContext scope(context);
  for (const int threads : {3, 1, 2}) {
    set_threads(threads);
    EXPECT_EQ(context.threads(), threads);
    std::atomic<int> done{0};
    current_context().parallel_for(50, [&](int64_t) { ++done; });
    EXPECT_EQ(done.load(), 50);
  }
  EXPECT_THROW(set_threads(-1), Error);
  EXPECT_THROW(set_threads(1025), Error);
  EXPECT_EQ(context.threads(), 2);
  set_threads(0);
  EXPECT_EQ(context.threads(), ExecContext().threads());
}

}  // namespace
}  // namespace graft
