#include "graft/core/tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace graft {
namespace {

TEST(Half, EveryFloat16RoundTrips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float16 h;
    h.bits = static_cast<uint16_t>(bits);
    const float f = static_cast<float>(h);
    if (std::isnan(f))
      EXPECT_TRUE(std::isnan(static_cast<float>(float16(f))));
    else
      ASSERT_EQ(float16(f).bits, h.bits) << bits;
  }
}

TEST(Half, EveryBfloat16RoundTrips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    bfloat16 h;
    h.bits = static_cast<uint16_t>(bits);
    const float f = static_cast<float>(h);
    if (std::isnan(f))
      EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(f))));
    else
      ASSERT_EQ(bfloat16(f).bits, h.bits) << bits;
  }
}

// Midpoints between neighbours go to the even one; just beside them, to the nearer.
TEST(Half, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    float16 low, high;
    low.bits = static_cast<uint16_t>(bits);
    high.bits = static_cast<uint16_t>(bits + 1);
    const float middle = (static_cast<float>(low) + static_cast<float>(high)) / 2;
    ASSERT_EQ(float16(middle).bits, bits % 2 ? high.bits : low.bits) << bits;
    ASSERT_EQ(float16(std::nextafter(middle, 0.0f)).bits, low.bits) << bits;
    ASSERT_EQ(float16(std::nextafter(middle, 1e9f)).bits, high.bits) << bits;
  }
  EXPECT_EQ(float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(float16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
}

}  // namespace
}  // namespace graft
