// What a machine may have that the usual one has not: two GPUs, calls from several threads, a GPU
// without memory pools, a driver that makes maps of small tensors wrongly.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "graft/core/base/error.h"
#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/kernels/cuda/gpu/tensor_map.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/unary.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/kernels/cuda/product_cases.h"

namespace graft {
namespace {

constexpr Device kSecond{DeviceType::cuda, 1};

std::vector<double> relu_on(const Tensor& x, Device device) {
  return functional::relu(to_device(x, device)).to_doubles();
}

// The fake, as CUDA, refuses streams and events of a device that is not the thread's current one.
TEST(CudaSeveralDevices, TheFakeKnowsWhoseAStreamIs) {
  cuda::emulator::FakeDriver driver(2);
  ASSERT_TRUE(driver.open(0).ok());
  gpu::StreamId stream = nullptr;
  ASSERT_TRUE(driver.create_stream(stream).ok());
  EXPECT_TRUE(driver.synchronize(stream).ok());
  ASSERT_TRUE(driver.use(1).ok());
  EXPECT_FALSE(driver.synchronize(stream).ok());
  EXPECT_FALSE(driver.use(2).ok());
  ASSERT_TRUE(driver.use(0).ok());
  EXPECT_TRUE(driver.synchronize(stream).ok());
  std::thread([&] {
    EXPECT_TRUE(driver.synchronize(stream).ok()) << "threads begin with 0";
  }).join();
  EXPECT_TRUE(driver.destroy_stream(stream).ok());
}

TEST(CudaSeveralDevices, EachCallIsForItsDevice) {
  const Tensor x = test::distinct_values({64}, -1, 1, 1).to(DType::f32);
  const std::vector<double> expected = functional::relu(x).to_doubles();
  cuda::emulator::FakeDriver driver(2);
  {
    cuda::Backend backend(driver);
    const Tensor first = to_device(x, test::kCuda), second = to_device(x, kSecond);
    for (int turn = 0; turn < 2; ++turn) {
      EXPECT_EQ(relu_on(first, test::kCuda), expected);
      EXPECT_EQ(relu_on(second, kSecond), expected);
    }
    EXPECT_EQ(functional::relu(first).to_doubles(), expected);
    std::vector<double> there;
    std::thread([&] { there = functional::relu(second).to_doubles(); }).join();
    EXPECT_EQ(there, expected) << "a thread that has used no device";
    gpu::Event event(backend.device(1), true);
    backend.device(0).synchronize();
    event.record(backend.device(1).stream());
    event.synchronize();
  }
  EXPECT_EQ(driver.live_objects(), 0);
}

// Convolution on the second device's cuDNN and large uploads through its staging.
TEST(CudaSeveralDevices, LibrariesAndStagingToo) {
  setenv("GRAFT_CUDNN_CACHE", "off", 1);
  cuda::emulator::FakeDnnState dnn;
  cuda::emulator::FakeDriver driver(2);
  driver.provide_dnn(dnn);
  {
    cuda::Backend backend(driver);
    const ops::ConvAttributes attributes{ops::square_window(3, 1, 1)};
    const Tensor x = test::distinct_values({1, 4, 40, 40}, -1, 1, 1)
                         .to(DType::f32)
                         .to(MemoryFormat::channels_last),
                 weight = test::distinct_values({4, 4, 3, 3}, -1, 1, 2).to(DType::f32);
    const std::vector<double> expected =
        functional::conv(x, weight, Tensor(), attributes).to_doubles();
    for (const Device device : {test::kCuda, kSecond, test::kCuda}) {
      const Tensor y =
          functional::conv(to_device(x, device), to_device(weight, device), Tensor(), attributes);
      EXPECT_LE(test::relative_error(y.to_doubles(), expected), 1e-4) << device.to_string();
    }
  }
  unsetenv("GRAFT_CUDNN_CACHE");
  EXPECT_EQ(dnn.executed, 3);
  EXPECT_EQ(driver.live_objects(), 0);
}

TEST(CudaWithoutPools, MemoryIsTakenAndGivenBackAllTheSame) {
  const Tensor x = test::distinct_values({5000}, -1, 1, 1).to(DType::f32);
  const std::vector<double> expected = functional::relu(x).to_doubles();
  cuda::emulator::FakeDriver driver;
  driver.forbid_pools();
  {
    cuda::Backend backend(driver);
    EXPECT_FALSE(backend.device(0).properties().memory_pools);
    EXPECT_EQ(relu_on(x, test::kCuda), expected);
    backend.device(0).pool().release_cached();
    EXPECT_EQ(relu_on(x, test::kCuda), expected);
    const Tensor there = to_device(x, test::kCuda);
    Tensor y = functional::relu(there);
    y = Tensor();
    gpu::Graph graph(backend.device(0), [&] { y = functional::relu(there); });
    graph.launch();
    EXPECT_EQ(y.to_doubles(), expected);
  }
  EXPECT_EQ(driver.live_objects(), 0);
}
// No stream's order covers such a block: what is queued is done before it goes.
TEST(CudaWithoutPools, AFreeWaits) {
  cuda::emulator::FakeDriver driver;
  driver.forbid_pools();
  gpu::StreamId stream = nullptr;
  ASSERT_TRUE(driver.create_stream(stream).ok());
  void *ordered = nullptr, *block = nullptr;
  EXPECT_FALSE(driver.allocate(16, stream, ordered).ok());
  ASSERT_TRUE(driver.allocate_waiting(16, block).ok());
  EXPECT_TRUE(driver.set_bytes(block, 1, 16, stream).ok());
  EXPECT_TRUE(driver.free_waiting(block).ok());
  EXPECT_TRUE(driver.synchronize(stream).ok()) << "the fill came before the free";
  ASSERT_TRUE(driver.allocate_waiting(16, block).ok());
  ASSERT_TRUE(driver.begin_capture(stream).ok());
  EXPECT_FALSE(driver.allocate_waiting(16, ordered).ok());
  gpu::GraphId graph = nullptr;
  EXPECT_FALSE(driver.end_capture(stream, graph).ok());
  EXPECT_TRUE(driver.free_waiting(block).ok());
  EXPECT_TRUE(driver.destroy_stream(stream).ok());
}

TEST(CudaTensorMap, ABitOfSmallTensorsIsCleared) {
  gpu::TensorMap full;
  for (std::byte& byte : full.opaque) byte = std::byte{0xff};
  const auto cleared = [&](int64_t bytes, int driver_version) {
    gpu::TensorMap map = full;
    gpu::mend_small_tensor(map, bytes, driver_version);
    uint64_t words[16];
    std::memcpy(words, map.opaque, sizeof words);
    for (int i = 0; i < 16; ++i) EXPECT_TRUE(i == 1 || words[i] == ~uint64_t{0}) << "word " << i;
    return ~words[1];
  };
  EXPECT_EQ(cleared((128 << 10) - 16, 13010), uint64_t{1} << 21);
  EXPECT_EQ(cleared(16, 12080), uint64_t{1} << 21);
  EXPECT_EQ(cleared(128 << 10, 13010), 0u) << "large enough";
  EXPECT_EQ(cleared(16, 13020), 0u) << "a driver without the fault";
  EXPECT_EQ(alignof(gpu::TensorMap), 128u);
}

}  // namespace
}  // namespace graft
