// FailingCalls: a piece of work on the fake GPU, with every call of the driver failing once.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft::test {

// With graft's own products (false) and with those of cuDNN and cuBLASLt (true); plans are not kept
// on disk here.
class FailingCalls : public ::testing::TestWithParam<bool> {
 protected:
  using Code = gpu::Status::Code;
  FailingCalls() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~FailingCalls() override { unsetenv("GRAFT_CUDNN_CACHE"); }

  // Runs `work(driver)` once as it is, then once for each of its calls and each way to fail: an
  // Error that names the device or none, nothing leaked, no later call of a lost device.
  // `done(code, calls, errors)` after each way; kernels compute nothing.
  template <class Work, class Done>
  void fail_each_call(int64_t least_calls, const Work& work, const Done& done) {
    const auto prepare = [&](cuda::emulator::FakeDriver& driver) {
      if (GetParam()) driver.provide_dnn(dnn_), driver.provide_blas(blas_);
      driver.skip_kernels();
    };
    int64_t calls = 0;
    {
      cuda::emulator::FakeDriver driver;
      prepare(driver);
      work(driver);
      calls = driver.calls();
      EXPECT_EQ(driver.live_objects(), 0);
    }
    ASSERT_GT(calls, least_calls);
    for (const Code code : {Code::out_of_memory, Code::failed, Code::lost}) {
      int64_t errors = 0;
      for (int64_t n = 0; n < calls; ++n) {
        cuda::emulator::FakeDriver driver;
        prepare(driver);
        driver.fail_call(n, code);
        try {
          work(driver);
        } catch (const Error& error) {
          ++errors;
          EXPECT_EQ(error.code(), ErrorCode::resource) << error.what();
          EXPECT_TRUE(std::string_view(error.what()).starts_with("cuda:0: ")) << error.what();
        }
        ASSERT_EQ(dnn_.live_plans, 0) << "call " << n;
        if (code != Code::lost)
          ASSERT_EQ(driver.live_objects(), 0) << "call " << n;
        else
          ASSERT_LE(driver.calls(), n + 2) << "a lost device is asked again";
      }
      done(code, calls, errors);
    }
  }

 private:
  cuda::emulator::FakeDnnState dnn_;
  cuda::emulator::FakeBlasState blas_;
};

}  // namespace graft::test
