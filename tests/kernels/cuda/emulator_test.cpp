// What the emulator and the fake driver must notice: each test does one thing that a GPU would let
// pass or crash on.
#include <gtest/gtest.h>

#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/device/span.h"
#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/kernels/cuda/gpu/staging.h"
#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft {
namespace {

using cuda::Span;
using test::kCuda;

struct Numbers {
  Span<float> x;
  int64_t shift = 0;
};

// x[i] = i for every thread.
struct Count {
  static constexpr const char* name = "count";
  static constexpr bool cooperates = false;
  using Args = Numbers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const int64_t i = t.block() * t.threads() + t.thread() + a.shift;
    a.x.store(i, static_cast<float>(i));
  }
};

// Reverses blocks of 64 through shared memory; `barrier` false leaves the barrier out.
template <bool barrier>
struct Reverse {
  static constexpr const char* name = "reverse";
  static constexpr bool cooperates = true;
  using Args = Numbers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<float>(64);
    const int64_t first = t.block() * 64;
    shared.set(t.thread(), a.x.load(first + t.thread()));
    if (barrier) t.sync();
    a.x.store(first + t.thread(), shared.get(63 - t.thread()));
  }
};

struct Everyone {  // all threads write one element
  static constexpr const char* name = "everyone";
  static constexpr bool cooperates = false;
  using Args = Numbers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    a.x.store(0, static_cast<float>(t.thread()));
  }
};

struct HalfABarrier {
  static constexpr const char* name = "half a barrier";
  static constexpr bool cooperates = true;
  using Args = Numbers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args&) {
    if (t.thread() < 16) t.sync();
  }
};

struct Unwritten {
  static constexpr const char* name = "unwritten";
  static constexpr bool cooperates = true;
  using Args = Numbers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<float>(64);
    a.x.store(t.thread(), shared.get(t.thread()));
  }
};

// Only the first block writes what every block reads.
struct FirstBlockWrites {
  static constexpr const char* name = "first block writes";
  static constexpr bool cooperates = true;
  using Args = Numbers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto shared = t.template shared<float>(64);
    if (t.block() == 0) shared.set(t.thread(), 1.f);
    t.sync();
    a.x.store(t.block() * 64 + t.thread(), shared.get(t.thread()));
  }
};

// x[lane] = the sum over the warp of lane numbers, plus the lanes whose number is odd.
struct WarpSum {
  static constexpr const char* name = "warp sum";
  static constexpr bool cooperates = true;
  using Args = Numbers;
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    float sum = static_cast<float>(t.lane());
    for (int mask = 16; mask > 0; mask /= 2) sum += t.exchange(sum, mask);
    const uint32_t odd = t.ballot(t.lane() % 2 == 1);
    a.x.store(t.thread(), sum + (odd == 0xaaaaaaaau ? 1000.f : 0.f));
  }
};

Tensor numbers(int64_t count) { return Tensor::empty({count}, {.device = kCuda}); }
Numbers args(Tensor& tensor, int64_t shift = 0) {
  return {{static_cast<float*>(tensor.mutable_raw()), tensor.numel()}, shift};
}

// Launches and waits; the message of the error, or "".
template <class Body>
std::string outcome(test::EmulatedDevice& emulated, int64_t blocks, int threads, const Numbers& a,
                    int shared_bytes = 0) {
  try {
    cuda::launch<Body>(emulated.device(), blocks, threads, a, shared_bytes);
    emulated.device().synchronize();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(CudaEmulator, RunsBlocksAndThreads) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(128);
  EXPECT_EQ(outcome<Count>(emulated, 2, 64, args(x)), "");
  EXPECT_EQ(outcome<Reverse<true>>(emulated, 2, 64, args(x), 256), "");
  const std::vector<double> values = x.to_doubles();
  for (int i = 0; i < 128; ++i)
    EXPECT_EQ(values[static_cast<size_t>(i)], i / 64 * 64 + 63 - i % 64);
  EXPECT_EQ(outcome<WarpSum>(emulated, 1, 64, args(x)), "");
  EXPECT_EQ(x.to_doubles()[40], 1496);
}

TEST(CudaEmulator, FindsAnAddressOutside) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(100);
  EXPECT_HAS(outcome<Count>(emulated, 2, 64, args(x)),
             "count: block 1, thread 36 writes element 100 of 100");
}
TEST(CudaEmulator, FindsAnAddressBefore) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(64);
  EXPECT_HAS(outcome<Count>(emulated, 1, 64, args(x, -1)), "thread 0 writes element -1 of 64");
}
TEST(CudaEmulator, FindsAMissingBarrier) {
  test::EmulatedDevice emulated;
  Tensor x = Tensor::zeros({64}, {.device = kCuda});
  EXPECT_HAS(outcome<Reverse<false>>(emulated, 1, 64, args(x), 256),
             "reads shared memory that nobody wrote");
}
TEST(CudaEmulator, FindsARaceInGlobalMemory) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(1);
  EXPECT_HAS(outcome<Everyone>(emulated, 1, 64, args(x)),
             "everyone: block 0, thread 1 writes the element that block 0, thread 0 writes");
}
TEST(CudaEmulator, FindsABarrierThatSomeNeverReach) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(64);
  EXPECT_HAS(outcome<HalfABarrier>(emulated, 1, 64, args(x)),
             "waits at a barrier that other threads never reach");
}
TEST(CudaEmulator, FindsSharedMemoryThatNobodyWrote) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(64);
  EXPECT_HAS(outcome<Unwritten>(emulated, 1, 64, args(x), 256),
             "reads shared memory that nobody wrote");
}
TEST(CudaEmulator, FindsSharedMemoryThatOnlyAnEarlierBlockWrote) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(128);
  EXPECT_HAS(outcome<FirstBlockWrites>(emulated, 2, 64, args(x), 256),
             "block 1, thread 0 reads shared memory that nobody wrote");
}
// Threads that a fault left in the middle of their work are begun anew by the next launch.
TEST(CudaEmulator, RunsAgainAfterAFault) {
  {
    test::EmulatedDevice emulated;
    Tensor x = numbers(64);
    EXPECT_HAS(outcome<HalfABarrier>(emulated, 1, 64, args(x)), "never reach");
  }
  test::EmulatedDevice emulated;
  Tensor x = numbers(64);
  EXPECT_EQ(outcome<Count>(emulated, 1, 64, args(x)), "");
  EXPECT_EQ(outcome<Reverse<true>>(emulated, 1, 64, args(x), 256), "");
  EXPECT_EQ(x.to_doubles()[0], 63);
}
TEST(CudaEmulator, FindsTooMuchSharedMemory) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(64);
  EXPECT_HAS(outcome<Unwritten>(emulated, 1, 64, args(x), 128),
             "takes 256 bytes of shared memory of 128");
}
TEST(CudaEmulator, FindsUseAfterFree) {
  test::EmulatedDevice emulated;
  Numbers gone;
  {
    Tensor x = numbers(64);
    gone = args(x);
  }
  emulated.device().pool().release_cached();
  EXPECT_HAS(outcome<Count>(emulated, 1, 64, gone), "uses memory after it was freed");
}

// After a fault nothing runs any more, and every call says so at once.
TEST(CudaEmulator, ALostDeviceFailsEveryLaterCall) {
  test::EmulatedDevice emulated;
  Tensor x = numbers(1);
  EXPECT_HAS(outcome<Everyone>(emulated, 1, 64, args(x)), "cuda:0: waiting for the device");
  EXPECT_HAS(outcome<Count>(emulated, 1, 32, args(x)),
             "cuda:0: the device was lost; nothing runs on it any more in this process");
  EXPECT_THROW(numbers(5), Error);
  const int64_t calls = emulated.driver.calls();
  EXPECT_THROW(x.item(), Error);
  EXPECT_EQ(emulated.driver.calls(), calls) << "a lost device is not asked again";
}

// Work on two streams without an event between them.
TEST(CudaFake, FindsWorkThatNothingOrders) {
  test::EmulatedDevice emulated;
  gpu::Device& device = emulated.device();
  for (const bool ordered : {true, false}) {
    Tensor x = numbers(64);
    gpu::SideStream side(device);
    gpu::Event ready(device), filled(device);
    ready.record(device.stream());
    ready.hold(side.id());
    device.check(emulated.driver.set_bytes(x.mutable_raw(), 0, 256, side.id()), "fill");
    filled.record(side.id());
    if (ordered) filled.hold(device.stream());
    cuda::launch<Count>(device, 1, 64, args(x));
    if (ordered) {
      device.synchronize();
      EXPECT_EQ(x.to_doubles()[63], 63);
    } else {
      side.synchronize();
      try {
        device.synchronize();
        FAIL();
      } catch (const Error& error) {
        EXPECT_HAS(std::string(error.what()),
                   "count writes what a fill writes on another stream, and nothing orders the two");
      }
    }
  }
}

// A copy to pinned memory has not happened until somebody waited.
TEST(CudaFake, CopiesHappenLate) {
  test::EmulatedDevice emulated;
  gpu::Device& device = emulated.device();
  const Tensor x = Tensor::full({1}, 7, {.device = kCuda});
  void* pinned = nullptr;
  device.check(emulated.driver.allocate_pinned(4, pinned), "pinned");
  *static_cast<float*>(pinned) = -1;
  device.copy(pinned, x.raw(), 4, gpu::CopyKind::to_host);
  EXPECT_EQ(*static_cast<float*>(pinned), -1);
  device.synchronize();
  EXPECT_EQ(*static_cast<float*>(pinned), 7);
  device.check(emulated.driver.free_pinned(pinned), "pinned");
}

// A large upload crosses beside the work that was queued before it: that waits for nothing, and
// what comes after it for the upload.
TEST(CudaUploads, CrossWhileTheWorkBeforeRuns) {
  test::EmulatedDevice emulated;
  gpu::Device& device = emulated.device();
  const int64_t parts = 3;  // of 4 MiB: the third waits until the first has crossed
  std::vector<float> values(static_cast<size_t>(parts << 20));
  const auto upload = [&](float first) {
    values.front() = first, values.back() = -first;
    return to_device(Tensor::of({std::ssize(values)}, values), kCuda);
  };
  upload(1), upload(2);  // both landings are there
  device.synchronize();
  Tensor x = numbers(64);
  const auto runs = [&] { return emulated.driver.kernels_run().size(); };
  const size_t before = runs();
  cuda::launch<Count>(device, 1, 64, args(x));
  Tensor batch = upload(3);
  EXPECT_EQ(runs(), before) << "the upload waited for the compute stream";
  const std::vector<double> there = batch.to_doubles();
  EXPECT_EQ(runs(), before + 1);
  EXPECT_EQ(there.front(), 3);
  EXPECT_EQ(there.back(), -3);
}

// Sizes that grow and shrink, several on their way at once: each arrives where it belongs.
TEST(CudaUploads, ArriveInAnyOrderOfSizes) {
  test::EmulatedDevice emulated;
  std::vector<std::pair<Tensor, int64_t>> sent;
  for (const int64_t count : {1, 5000, 1024, 1025, 1500000, 3, 2000, 2500000, 7, 1025})
    sent.emplace_back(to_device(Tensor::full({count}, static_cast<double>(sent.size()) + 1), kCuda),
                      count);
  for (size_t i = 0; i < sent.size(); ++i)
    EXPECT_EQ(sent[i].first.to_doubles(),
              std::vector<double>(static_cast<size_t>(sent[i].second), static_cast<double>(i) + 1))
        << i;
}

TEST(CudaFake, NothingLeaks) {
  cuda::emulator::FakeDriver driver;
  {
    cuda::Backend backend(driver);
    const Tensor x = to_device(Tensor::full({1 << 12}, 2), kCuda);
    EXPECT_EQ(x.to_doubles()[4095], 2);
    const gpu::Event event(backend.device(0));
    EXPECT_GT(driver.live_objects(), 3);
  }
  EXPECT_EQ(driver.live_objects(), 0);
}

}  // namespace
}  // namespace graft
