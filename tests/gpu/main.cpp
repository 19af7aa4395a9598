// test_gpu: the tests of the CUDA kernels on this machine's GPU. Where none can be used each is
// skipped and says why.
#include <gtest/gtest.h>

#include "graft/core/base/error.h"
#include "graft/kernels/devices.h"

namespace {

std::string why_no_gpu() {
  try {
    graft::open_device({graft::DeviceType::cuda, 0});
    return "";
  } catch (const graft::Error& error) {
    return error.what();
  }
}

struct SkipWithoutGpu : testing::EmptyTestEventListener {
  std::string reason;
  explicit SkipWithoutGpu(std::string why) : reason(std::move(why)) {}
  void OnTestStart(const testing::TestInfo&) override { GTEST_SKIP() << reason; }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const std::string reason = GTEST_FLAG_GET(list_tests) ? "" : why_no_gpu(); !reason.empty())
    testing::UnitTest::GetInstance()->listeners().Append(new SkipWithoutGpu(reason));
  return RUN_ALL_TESTS();
}
