#include "graft/core/runtime/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace graft {
namespace {

TEST(ThreadPool, RunsEveryJobOnce) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::atomic<int>> seen(97);
    pool.parallel_for(97, [&](int64_t i) { seen[static_cast<size_t>(i)]++; });
    for (const auto& count : seen) ASSERT_EQ(count.load(), 1);
  }
}

TEST(ThreadPool, NestedCallsRunInline) {
  ThreadPool pool(3);
  std::atomic<int> total{0};
  pool.parallel_for(8, [&](int64_t) { pool.parallel_for(8, [&](int64_t) { total++; }); });
  EXPECT_EQ(total.load(), 64);
}

TEST(ThreadPool, RethrowsAndStaysUsable) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.parallel_for(50,
                                 [](int64_t i) {
                                   if (i == 7) throw std::runtime_error("seven");
                                 }),
               std::runtime_error);
  std::atomic<int> total{0};
  pool.parallel_for(50, [&](int64_t) { total++; });
  EXPECT_EQ(total.load(), 50);
}

TEST(ThreadPool, WorksInAForkedChild) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer allows no new threads after such a fork";
#endif
  ThreadPool pool(3);
  std::atomic<int> total{0};
  pool.parallel_for(10, [&](int64_t) { total++; });
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> count{0};
    pool.parallel_for(10, [&](int64_t) { count++; });
    _exit(count.load() == 10 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace graft
