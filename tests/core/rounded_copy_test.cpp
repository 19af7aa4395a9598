// The 16-bit copy beside a parameter: made once a version, at one address.
#include "graft/core/tensor/rounded_copy.h"

#include <gtest/gtest.h>

namespace graft {
namespace {

TEST(RoundedCopy, FollowsItsParametersVersion) {
  Tensor parameter = Tensor::of<float>({3}, {1, 2.001f, -3});
  EXPECT_FALSE(current_copy(parameter).defined());
  const Tensor copy = rounded_copy(parameter, DType::bf16);
  EXPECT_EQ(copy.to_doubles(), parameter.to(DType::bf16).to_doubles());
  const uint64_t version = copy.version();
  EXPECT_EQ(rounded_copy(parameter, DType::bf16).raw(), copy.raw());
  EXPECT_EQ(copy.version(), version) << "it was rounded again";
  EXPECT_EQ(current_copy(parameter).raw(), copy.raw());
  parameter.mutable_data<float>()[0] = 5;
  EXPECT_FALSE(current_copy(parameter).defined());
  EXPECT_EQ(rounded_copy(parameter, DType::bf16).raw(), copy.raw());
  EXPECT_EQ(copy.to_doubles()[0], 5);
}

TEST(RoundedCopy, WhoWritesBothSaysSo) {
  Tensor parameter = Tensor::of<float>({2}, {1, 2});
  Tensor copy = rounded_copy(parameter, DType::f16);
  parameter.copy_from(Tensor::of<float>({2}, {3, 4}));
  copy.copy_from(parameter);
  copy_was_written(parameter);
  const uint64_t version = copy.version();
  EXPECT_EQ(rounded_copy(parameter, DType::f16).to_doubles(), (std::vector<double>{3, 4}));
  EXPECT_EQ(copy.version(), version);
}

TEST(RoundedCopy, OfAnotherTypeOrAPartIsItsOwn) {
  const Tensor parameter = Tensor::of<float>({2}, {1, 2});
  EXPECT_EQ(rounded_copy(parameter, DType::f32).raw(), parameter.raw());
  EXPECT_EQ(rounded_copy(parameter, DType::bf16).dtype(), DType::bf16);
  EXPECT_EQ(rounded_copy(parameter, DType::f16).dtype(), DType::f16);
  const Tensor part = parameter.narrow_batch(1, 1);
  EXPECT_EQ(rounded_copy(part, DType::f16).to_doubles(), (std::vector<double>{2}));
}

}  // namespace
}  // namespace graft
