// test_gpu: the tests of the CUDA kernels on this machine's GPU. Where none can be used each is
// skipped and says why.
#include <gtest/gtest.h>

#include <iostream>

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

// What a test recorded, as a line behind it: a report in a file would be lost with the process.
struct PrintProperties : testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    for (int i = 0; i < test.result()->test_property_count(); ++i) {
      const testing::TestProperty& property = test.result()->GetTestProperty(i);
      std::cout << "[ PROPERTY ] " << test.test_suite_name() << "." << test.name() << " "
                << property.key() << " " << property.value() << std::endl;
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new PrintProperties);
  if (const std::string reason = GTEST_FLAG_GET(list_tests) ? "" : why_no_gpu(); !reason.empty())
    testing::UnitTest::GetInstance()->listeners().Append(new SkipWithoutGpu(reason));
  return RUN_ALL_TESTS();
}
