// What bench_gpu measures runs, and counts the bytes that it should: at small shapes.
#include <gtest/gtest.h>

#include <map>

#include "graft/benchmarks/gpu/rows.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

const bench::Sizes kSmall{
    .batch = 2, .image = 32, .width = 8, .classes = 10, .network = "cifar_resnet20"};

TEST(CudaBenchRows, Run) {
  test::TestDevice opened;
  std::map<std::string, double> bytes;
  for (const bench::RowMaker& maker : bench::memory_rows()) {
    bench::Row row = maker.make(kSmall);
    row.run();
    opened.device().synchronize();
    EXPECT_GT(row.bytes, 0) << row.name;
    EXPECT_TRUE(bytes.emplace(row.name, row.bytes).second) << row.name << " stands twice";
  }
  const double wide = 2.0 * 32 * 8 * 8 * 2;  // bf16 [2,32,8,8]
  EXPECT_EQ(bytes.at("batch norm statistics"), wide);
  EXPECT_EQ(bytes.at("batch norm apply + residual + relu"),
            (3 + 1. / 16) * wide);  // a bit an element is the mask
  EXPECT_EQ(bytes.at("batch norm backward + relu"), 5 * wide);
  EXPECT_EQ(bytes.at("batch norm backward + residual + relu"), (6 + 2. / 16) * wide);
  EXPECT_EQ(bytes.at("image input"), 2.0 * 32 * 32 * (3 + 4 * 2));
  EXPECT_EQ(bytes.at("max-pool"), 2.0 * 8 * (16 * 16 * 2 + 8 * 8 * 3));
  EXPECT_EQ(bytes.at("sgd step"), 269722.0 * 4 * 5);  // the parameters of a ResNet-20 for CIFAR-10
}

TEST(CudaBenchRows, ConvolutionsRunOnEachKernel) {
  test::TestDevice opened(test::Products::libraries);
  const gpu::Properties& gpu = opened.device().properties();
  const std::vector<bench::RowMaker> rows = bench::convolution_rows();
  // 23 layers, three passes, two or three kernels; not wgmma's of the first layer
  ASSERT_EQ(rows.size(), gpu.major == 9 && gpu.minor == 0 ? 204u : 138u);
  int ran = 0;
  for (const bench::RowMaker& maker : rows) {
    bench::Row row = maker.make(kSmall);
    EXPECT_EQ(row.name, maker.name);
    if (row.name.find("1x1 64>256 @56") != std::string::npos) {
      EXPECT_EQ(row.flops, 2.0 * (2 * 32 * 8 * 8) * 8) << row.name;
    }
    if (row.flops > 7e4) continue;  // the emulator would take seconds for all
    row.run();
    opened.device().synchronize();
    ++ran;
  }
  EXPECT_GE(ran, 24);
}

}  // namespace
}  // namespace graft
