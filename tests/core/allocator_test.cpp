#include "graft/core/tensor/allocator.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "graft/core/base/error.h"
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

// Fails the n-th allocation, for every n, once and for good: the error is reported, nothing leaks, a retry succeeds.
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
