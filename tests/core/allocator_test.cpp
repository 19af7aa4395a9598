#include "graft/core/tensor/allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/runtime/random.h"
#include "graft/core/tensor/allocation_limit.h"
#include "graft/core/tensor/tensor.h"

namespace graft {
namespace {

TEST(Allocator, SteadyStateAsksTheSystemForNothing) {
  CachingCpuAllocator allocator;
  const auto step = [&] {
    void* a = allocator.allocate(1000000);
    void* b = allocator.allocate(3000);
    allocator.deallocate(a, 1000000);
    allocator.deallocate(b, 3000);
  };
  step();
  const int64_t calls = allocator.stats().system_calls;
  for (int i = 0; i < 100; ++i) step();
  EXPECT_EQ(allocator.stats().system_calls, calls);
  EXPECT_EQ(allocator.stats().live_bytes, 0);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved_bytes, 0);
}

TEST(Allocator, BlocksAreAlignedAndDistinctAndHoldWhatWasAsked) {
  CachingCpuAllocator allocator;
  for (int64_t bytes : {0, 1, 63, 64, 65, 4095, 4097, 100000, 2 << 20, (2 << 20) + 1, 5000000}) {
    auto* a = static_cast<unsigned char*>(allocator.allocate(bytes));
    auto* b = static_cast<unsigned char*>(allocator.allocate(bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 64, 0u);
    EXPECT_TRUE(a + bytes <= b || b + bytes <= a);
    for (int64_t i = 0; i < bytes; ++i) a[i] = 1, b[i] = 2;
    allocator.deallocate(a, bytes);
    allocator.deallocate(b, bytes);
  }
}

// Large blocks in any order: no two overlap, what is freed serves other sizes, and in the end all
// of it is one piece again.
TEST(Allocator, LargeBlocksShareMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "under the address sanitizer every block is one of the system's";
#endif
  struct Block {
    unsigned char* at;
    int64_t bytes;
  };
  CachingCpuAllocator allocator;
  CountedRandom random(7, RandomPurpose::synthetic);
  std::vector<Block> blocks;
  int64_t most = 0, live = 0;
  for (int i = 0; i < 2000; ++i) {
    if (live < (96 << 20) && random.next() % 2 == 0) {
      const int64_t bytes = (1 << 20) + random.next() % (12 << 20);
      Block b{static_cast<unsigned char*>(allocator.allocate(bytes)), bytes};
      EXPECT_EQ(reinterpret_cast<uintptr_t>(b.at) % 64, 0u);
      for (const Block& other : blocks)
        EXPECT_TRUE(b.at + b.bytes <= other.at || other.at + other.bytes <= b.at);
      b.at[0] = b.at[bytes - 1] = static_cast<unsigned char>(bytes);
      blocks.push_back(b);
      live += bytes;
      most = std::max(most, live);
    } else if (!blocks.empty()) {
      const size_t which = random.next() % blocks.size();
      const Block b = blocks[which];
      EXPECT_EQ(b.at[0], static_cast<unsigned char>(b.bytes));
      EXPECT_EQ(b.at[b.bytes - 1], static_cast<unsigned char>(b.bytes));
      allocator.deallocate(b.at, b.bytes);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(which));
      live -= b.bytes;
    }
  }
  EXPECT_LT(allocator.stats().reserved_bytes, most * 3 / 2);
  for (const Block& b : blocks) allocator.deallocate(b.at, b.bytes);
  EXPECT_EQ(allocator.stats().live_bytes, 0);
  const int64_t calls = allocator.stats().system_calls;
  const int64_t whole = allocator.stats().reserved_bytes;
  allocator.deallocate(allocator.allocate(whole), whole);
  EXPECT_EQ(allocator.stats().system_calls, calls);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().reserved_bytes, 0);
  auto* again = static_cast<unsigned char*>(allocator.allocate(whole));
  EXPECT_EQ(again[0], 0);  // given back: the system's pages are zeros
  allocator.deallocate(again, whole);
}

TEST(Allocator, ALimitHoldsForItsThreadWhileItLives) {
  {
    const ScopedAllocationLimit limit(1000);
    const Tensor kept = Tensor::empty({150});
    EXPECT_THROW(Tensor::empty({150}), Error);
    {
      const ScopedAllocationLimit inner(4000);
      EXPECT_NO_THROW(Tensor::empty({900}));
      EXPECT_THROW(Tensor::empty({900}), Error);  // what was freed does not count back
    }
    EXPECT_NO_THROW(Tensor::empty({100}));
    std::thread([] { EXPECT_NO_THROW(Tensor::empty({100000})); }).join();
    EXPECT_THROW(Tensor::empty({1}), Error);
  }
  EXPECT_NO_THROW(Tensor::empty({100000}));
}

// Fails the n-th allocation, for every n, once and for good: the error is reported, nothing leaks,
// a retry succeeds.
TEST(Allocator, EveryFailedAllocationIsReportedAndLeaksNothing) {
  CachingCpuAllocator& allocator = cpu_allocator();
  const auto work = [] { return Tensor::zeros({3, 4}).to(DType::f64).clone().to_doubles(); };
  const int64_t live = allocator.stats().live_bytes;
  for (const bool persistent : {false, true})
    for (int n = 0;; ++n) {
      int seen = 0;
      allocator.set_fault_hook([&](int64_t) { return persistent ? seen++ >= n : seen++ == n; });
      bool failed = false;
      try {
        work();
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(error.code(), ErrorCode::resource);
      }
      allocator.set_fault_hook(nullptr);
      EXPECT_EQ(allocator.stats().live_bytes, live);
      EXPECT_EQ(work(), std::vector<double>(12));
      if (!failed) {
        EXPECT_EQ(n, 3);  // zeros, to, clone
        break;
      }
    }
}

}  // namespace
}  // namespace graft
