// What a child finds of the locks that other threads held when it was forked.
#include "graft/core/base/fork.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "graft/core/base/log.h"
#include "graft/core/base/made_once.h"
#include "graft/core/tensor/allocator.h"

namespace graft {
namespace {

// How `in_child` ended: its answer, or -1 when a signal ended it (it hung).
int status_of_child(const std::function<bool()>& in_child) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(5);
    _exit(in_child() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Runs `test` while another thread stays inside `hold`, which gets a callable that says it is
// there.
void while_held(const std::function<void(const std::function<void()>&)>& hold,
                const std::function<void()>& test) {
  std::atomic<bool> inside{false}, done{false};
  std::thread other([&] {
    hold([&] {
      inside = true;
      inside.notify_all();
      done.wait(false);
    });
  });
  inside.wait(false);
  test();
  done = true;
  done.notify_all();
  other.join();
}

TEST(Fork, CountsGenerations) {
  const uint32_t before = fork_generation();
  EXPECT_EQ(status_of_child([&] { return fork_generation() == before + 1; }), 0);
  EXPECT_EQ(fork_generation(), before);
}

TEST(Fork, ATurnIsFreeInTheChild) {
  TurnLock lock;
  while_held(
      [&](const auto& stay) {
        const std::lock_guard turn(lock);
        stay();
      },
      [&] {
        EXPECT_FALSE(lock.try_lock());
        EXPECT_EQ(status_of_child([&] {
                    const std::lock_guard turn(lock);
                    return !lock.try_lock();
                  }),
                  0);
      });
  EXPECT_TRUE(lock.try_lock());
}

TEST(Fork, WaitsForAForkSafeMutex) {
  ForkSafeMutex mutex;
  int64_t a = 0, b = 0;  // equal outside of the mutex
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      const std::lock_guard lock(mutex);
      ++a;
      std::this_thread::yield();
      ++b;
    }
  });
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(status_of_child([&] {
                const std::lock_guard lock(mutex);
                return a == b;
              }),
              0);
  stop = true;
  writer.join();
}

TEST(Fork, AValueInTheMakingIsMadeAnew) {
  MadeOnce<int> value;
  while_held(
      [&](const auto& stay) {
        value.get([&] {
          stay();
          return std::make_unique<int>(1);
        });
      },
      [&] {
        EXPECT_EQ(status_of_child(
                      [&] { return value.get([] { return std::make_unique<int>(2); }) == 2; }),
                  0);
      });
  EXPECT_EQ(value.get([] { return std::make_unique<int>(3); }), 1);
}

TEST(Fork, LogsInTheChildOfABusySink) {
  std::function<void()> stay;
  std::atomic<int> heard{0};
  set_log_sink([&](std::string_view, std::string_view) {
    ++heard;
    if (stay) stay();
  });
  while_held(
      [&](const auto& there) {
        stay = there;
        log("test", "from the other thread");
        stay = nullptr;
      },
      [&] {
        EXPECT_EQ(status_of_child([&] {
                    stay = nullptr;
                    log("test", "from the child");
                    return heard == 2;
                  }),
                  0);
      });
  set_log_sink({});
}

TEST(Fork, ASinkMayCallTheLibrary) {
  int heard = 0;
  set_log_sink([&](std::string_view, std::string_view) {
    ++heard;
    log("test", "from inside the sink");
  });
  log("test", "once");
  set_log_sink({});
  EXPECT_EQ(heard, 1);
}

// 2,000 children of a process whose other thread never stops allocating.
TEST(Fork, AllocatesInEveryChild) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  const int forks = 50;
#else
  const int forks = 2000;
#endif
  CachingCpuAllocator allocator;
  const auto work = [&] {
    for (const int64_t bytes : {100, 5000, 3 << 20})
      allocator.deallocate(allocator.allocate(bytes), bytes);
  };
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) work();
  });
  int failures = 0;
  for (int i = 0; i < forks && failures == 0; ++i)
    failures += status_of_child([&] {
                  work();
                  return true;
                }) != 0;
  stop = true;
  busy.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace graft
