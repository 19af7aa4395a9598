// The CUDA kernels' lists refuse mixed dtypes that no contract names, before a kernel is asked.
#include <gtest/gtest.h>

#include "graft/kernels/cuda/register.h"
#include "graft/tests/support/dtype_cases.h"

namespace graft {
namespace {

TEST(CudaDTypeRule, RefusesWhatNoContractNames) {
  KernelSet set;
  cuda::register_cuda_kernels(set);
  EXPECT_EQ(test::accepted_against_the_contract(set), std::vector<std::string>{});
}

}  // namespace
}  // namespace graft
