// Mixed dtypes: computed as the contract says, or refused; never silently converted.
#include <gtest/gtest.h>

#include "graft/kernels/cpu/register.h"
#include "graft/kernels/device_kernels.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/reference/register.h"
#include "graft/kernels/registry.h"
#include "graft/tests/support/dtype_cases.h"

namespace graft {
namespace {

using test::DTypeCase;

KernelSet reference_set() {
  KernelSet set;
  register_reference_kernels(set);
  return set;
}

TEST(DTypeRule, ReferenceRefusesWhatNoContractNames) {
  EXPECT_EQ(test::accepted_against_the_contract(reference_set()), std::vector<std::string>{});
}

TEST(DTypeRule, CpuRefusesWhatNoContractNames) {
  EXPECT_EQ(test::accepted_against_the_contract(all_kernels_for(Device{})),
            std::vector<std::string>{});
}

// A pair that is named gives the right numbers, or an Error where the kernels are not made for the
// type at all.
TEST(DTypeRule, NamedPairsAreComputed) {
  const KernelSet reference = reference_set();
  int computed = 0;
  for (const KernelSet* set : {&reference, &all_kernels_for(Device{})})
    for (const DTypeCase& c : test::dtype_cases())
      for (const DType a : test::kDTypes)
        for (const DType b : test::kDTypes) {
          if (!c.fits(a, b)) continue;
          try {
            const Tensor y = c.run(*set, a, b);
            const double expected = y.dtype() == DType::boolean && c.expected != 0 ? 1 : c.expected;
            for (const double value : y.to_doubles())
              EXPECT_NEAR(value, expected, 1e-2)
                  << c.pass << " " << name_of(a) << " " << name_of(b);
            ++computed;
          } catch (const Error&) {
            EXPECT_FALSE((a == DType::f32 || a == DType::f64) && a == b)
                << c.pass << " of " << name_of(a);
          }
        }
  EXPECT_GT(computed, 200);
}

TEST(DTypeRule, SaysWhatDoesNotGoTogether) {
  const Tensor x = Tensor::full({1, 1, 1, 1}, 3, {.dtype = DType::u8});
  const Tensor weight = Tensor::full({1, 1, 1, 1}, 0.7);
  Tensor y = Tensor::zeros({1, 1, 1, 1}, {.dtype = DType::u8});
  const ops::ConvAttributes attributes{.window = ops::square_window(1)};
  try {
    kernels_for<ops::ConvKernels>(x).forward(current_context(),
                                             {x, weight, nullptr, attributes, y});
    FAIL() << "u8 images with an f32 weight were convolved";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_STREQ(error.what(),
                 "conv forward: these dtypes do not go together: x uint8, weight float32, y uint8");
  }
}

}  // namespace
}  // namespace graft
