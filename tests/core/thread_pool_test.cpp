#include "graft/core/runtime/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "graft/core/runtime/start_thread.h"
#include "graft/tests/support/scarce_threads.h"

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

// A limit on processes or memory: the work is done by those that there are, and it is said once.
TEST(ThreadPool, GoesOnWithTheThreadsThatCouldBeStarted) {
  if (sanitized()) GTEST_SKIP() << "sanitizers need the address space";
  EXPECT_TRUE(true_with_scarce_threads([] {
    int told = 0, wanted = 0, started = 0;
    set_thread_shortage_listener(
        [&](const char*, int w, int s) { ++told, wanted = w, started = s; });
    ThreadPool pool(200);
    for (int round = 0; round < 5; ++round) {
      std::vector<std::atomic<int>> seen(300);
      pool.parallel_for(300, [&](int64_t i) { seen[static_cast<size_t>(i)]++; });
      for (const auto& count : seen)
        if (count.load() != 1) return false;
    }
    return told == 1 && wanted == 200 && started < 200 && started >= 1 && pool.threads() == started;
  }));
}

}  // namespace
}  // namespace graft
