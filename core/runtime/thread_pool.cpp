#include "graft/core/runtime/thread_pool.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/base/fork.h"
#include "graft/core/runtime/start_thread.h"

namespace graft {
namespace {

thread_local bool t_inside_pool = false;  // nested parallel_for runs inline

constexpr int kSpins = 4000;  // about 20 us: longer than the gap between two small kernels

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// One parallel_for in flight: a counter hands out the jobs.
struct Batch {
  FunctionRef<void(int64_t)> job;
  int64_t count;
  std::atomic<int64_t> next{0};
  std::atomic<int> working{0};  // workers inside run()
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_mutex;

  Batch(FunctionRef<void(int64_t)> job, int64_t count) : job(job), count(count) {}

  void run() {
    t_inside_pool = true;
    for (;;) {
      const int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count || failed.load(std::memory_order_relaxed)) break;
      try {
        job(index);
      } catch (...) {
        std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        failed = true;
      }
    }
    t_inside_pool = false;
  }
};

// The workers and what they wait on. Left behind (leaked) in a forked child, where its threads do
// not exist.
struct Crew {
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> generation{0};
  std::atomic<bool> stop{false};
  Batch* batch = nullptr;  // guarded by mutex
  int parked = 0;          // guarded by mutex
  std::vector<std::thread> workers;

  // As many as can be started.
  explicit Crew(int count) {
    workers.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i)
      if (!start_thread(workers, [this] { work(); })) break;
  }

  ~Crew() {
    {
      std::lock_guard lock(mutex);
      stop = true;
      generation.fetch_add(1);
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins && generation.load(std::memory_order_acquire) == seen; ++i)
        pause_cpu();
      Batch* mine = nullptr;
      {
        std::unique_lock lock(mutex);
        ++parked;
        wake.wait(lock, [&] { return generation.load() != seen; });
        --parked;
        seen = generation.load();
        if (stop) return;
        mine = batch;
        if (mine) mine->working.fetch_add(1);
      }
      if (!mine) continue;
      mine->run();
      mine->working.fetch_sub(1, std::memory_order_release);
    }
  }

  void run(Batch& new_batch) {
    bool notify = false;
    {
      std::lock_guard lock(mutex);
      batch = &new_batch;
      generation.fetch_add(1, std::memory_order_release);
      notify = parked > 0;
    }
    if (notify) wake.notify_all();
    new_batch.run();
    {
      std::lock_guard lock(mutex);
      batch = nullptr;  // no further worker can join
    }
    // Soon, unless other work has the cores: then the worker needs this one.
    for (int spins = 0; new_batch.working.load(std::memory_order_acquire) != 0; ++spins)
      spins < kSpins ? pause_cpu() : std::this_thread::yield();
  }
};

}  // namespace

struct ThreadPool::Impl {
  std::atomic<int> threads;  // those asked for; once some could not be started, those that run
  TurnLock busy;
  uint32_t owner = 0;  // the fork_generation() that the crew was made in
  std::unique_ptr<Crew> crew;

  explicit Impl(int threads) : threads(threads) {}

  // Null: there are no threads beside the caller's.
  Crew* ready_crew() {
    if (!crew || owner != fork_generation()) {
      (void)crew
          .release();  // after fork: the parent's threads are not here, so they cannot be joined
      const int wanted = threads;
      try {
        crew = std::make_unique<Crew>(wanted - 1);
      } catch (const std::bad_alloc&) {  // no memory for the list of them
      }
      owner = fork_generation();
      const int started = 1 + (crew ? static_cast<int>(crew->workers.size()) : 0);
      threads = started;
      if (started < wanted) report_thread_shortage("compute", wanted, started);
    }
    return crew && !crew->workers.empty() ? crew.get() : nullptr;
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(threads)) {
  GRAFT_CHECK(threads >= 1 && threads <= 1024, "a thread pool needs 1 to 1024 threads, got ",
              threads);
}

ThreadPool::~ThreadPool() {
  if (impl_->crew && impl_->owner != fork_generation()) (void)impl_->crew.release();
}

int ThreadPool::threads() const { return impl_->threads; }

void ThreadPool::parallel_for(int64_t count, FunctionRef<void(int64_t)> job) {
  if (count <= 0) return;
  const bool alone = impl_->threads == 1 || count == 1 || t_inside_pool;
  if (alone || !impl_->busy.try_lock()) {
    for (int64_t i = 0; i < count; ++i) job(i);
    return;
  }
  Batch batch(job, count);
  if (Crew* crew = impl_->ready_crew())
    crew->run(batch);
  else
    batch.run();
  impl_->busy.unlock();
  if (batch.error) std::rethrow_exception(batch.error);
}

}  // namespace graft
