// Lists that operations bring from the host: once, and then they can be captured.
#include "graft/kernels/cuda/host_lists.h"

#include <gtest/gtest.h>

#include "graft/layers/functional/image.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft {
namespace {

using test::EmulatedDevice;
using test::kCuda;

TEST(CudaHostLists, OneContentIsOneTensor) {
  EmulatedDevice emulated;
  cuda::HostLists lists(emulated.device());
  const std::vector<int64_t> positions{3, 1, 2};
  const std::vector<float> weights{1, 0.5};
  const Tensor first = lists.find(positions);
  EXPECT_EQ(first.to_doubles(), (std::vector<double>{3, 1, 2}));
  EXPECT_EQ(lists.find(std::vector<int64_t>{3, 1, 2}).raw(), first.raw());
  EXPECT_EQ(lists.find(weights).to_doubles(), (std::vector<double>{1, 0.5}));
  EXPECT_EQ(lists.find(std::vector<int64_t>{}).numel(), 1);
  EXPECT_EQ(lists.size(), 3u);
}

TEST(CudaHostLists, TheOldestGoes) {
  EmulatedDevice emulated;
  cuda::HostLists lists(emulated.device(), 2);
  for (const int64_t i : {1, 2, 1, 3}) lists.find(std::vector<int64_t>{i, i});
  EXPECT_EQ(lists.size(), 2u);
  const int64_t allocations = emulated.driver.device_allocations();
  lists.find(std::vector<int64_t>{1, 1});  // still there; 2 went
  EXPECT_EQ(emulated.driver.device_allocations(), allocations);
  cuda::HostLists narrow(emulated.device(), 9, 40);
  for (const int64_t i : {1, 2, 3}) narrow.find(std::vector<int64_t>{i, i});
  EXPECT_EQ(narrow.size(), 2u);
}

// A slice by a list, a resized image and products at uneven distances upload nothing the second
// time.
TEST(CudaHostLists, TheSecondStepUploadsNothing) {
  EmulatedDevice emulated;
  const Tensor x = to_device(
      test::distinct_values({1, 2, 4, 5}, -1, 1, 1).to(DType::f32).to(MemoryFormat::channels_last),
      kCuda);
  const Tensor a = to_device(test::distinct_values({2, 1, 3, 4}, -1, 1, 2).to(DType::f32), kCuda),
               b = to_device(test::distinct_values({1, 3, 4, 2}, -1, 1, 3).to(DType::f32), kCuda);
  const int64_t extents[] = {7, 3};
  const auto step = [&] {
    const ops::TakeAttributes some{{{.from = 0, .whole = true},
                                    {.from = 1, .whole = true},
                                    {.from = 2, .positions = {3, 0, 0, 2}},
                                    {.from = 3, .whole = true}}};
    std::vector<double> all = functional::take(x, some).to_doubles();
    for (const double v :
         functional::interpolate(x, extents, functional::ResizeMode::linear, false).to_doubles())
      all.push_back(v);
    for (const double v : functional::matmul(a, b).to_doubles()) all.push_back(v);
    return all;
  };
  const std::vector<double> first = step();
  const size_t lists = emulated.backend.lists(0).size();
  EXPECT_GE(lists, 3u);
  EXPECT_EQ(step(), first);
  EXPECT_EQ(emulated.backend.lists(0).size(), lists);
}

}  // namespace
}  // namespace graft
