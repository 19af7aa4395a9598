#include "graft/core/runtime/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace graft {
namespace {

// The known-answer vectors that the Random123 library publishes for philox4x32-10.
TEST(Random, PhiloxPublishedVectors) {
  using V = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (V{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (V{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (V{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, StreamsDependOnEveryPartOfTheirName) {
  std::set<uint64_t> firsts;
  const auto first = [](uint64_t seed, RandomPurpose purpose, uint64_t epoch, uint64_t sample) {
    CountedRandom random(seed, purpose, epoch, sample);
    const uint64_t high = random.next();
    return high << 32 | random.next();
  };
  for (uint64_t seed : {0, 1})
    for (const auto purpose : {RandomPurpose::shuffle, RandomPurpose::dropout})
      for (uint64_t epoch = 0; epoch < 8; ++epoch)
        for (uint64_t sample = 0; sample < 64; ++sample)
          firsts.insert(first(seed, purpose, epoch, sample));
  EXPECT_EQ(firsts.size(), 2u * 2 * 8 * 64);
}

TEST(Random, SeekReturnsToTheSameNumbers) {
  CountedRandom random(7, RandomPurpose::augmentation, 3, 11);
  for (int i = 0; i < 5; ++i) random.next();
  const uint64_t position = random.position();
  const uint32_t next = random.next();
  random.seek(position);
  EXPECT_EQ(random.next(), next);
}

TEST(Random, MomentsAreThoseOfTheDistributions) {
  CountedRandom random(1, RandomPurpose::synthetic);
  constexpr int count = 200000;
  double sum = 0, squares = 0, uniform = 0;
  for (int i = 0; i < count; ++i) {
    const double x = random.normal();
    sum += x, squares += x * x, uniform += random.uniform();
  }
  EXPECT_NEAR(sum / count, 0.0, 5.0 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1.0, 5.0 * std::sqrt(2.0 / count));
  EXPECT_NEAR(uniform / count, 0.5, 5.0 * std::sqrt(1.0 / 12 / count));
}

TEST(Random, PermutationHoldsEveryIndexOnce) {
  CountedRandom random(5, RandomPurpose::shuffle, 2);
  const auto order = random_permutation(1000, random);
  EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 1000u);
  EXPECT_NE(order[0] * 1000 + order[1], 1);
}

TEST(Random, TensorsOfASeedAndOfAStream) {
  const Tensor x = randn({20, 50}, 7);
  EXPECT_EQ(x.to_doubles(), randn({20, 50}, 7).to_doubles());
  EXPECT_NE(x.to_doubles(), randn({20, 50}, 8).to_doubles());
  CountedRandom stream(7, RandomPurpose::synthetic);
  EXPECT_EQ(randn({20, 50}, stream).to_doubles(), x.to_doubles());
  EXPECT_NE(randn({20, 50}, stream).to_doubles(), x.to_doubles());  // the next ones
  double sum = 0, squares = 0, low = 1, high = 0, mean = 0;
  for (const double v : x.to_doubles()) sum += v, squares += v * v;
  EXPECT_NEAR(sum / 1000, 0, 0.15);
  EXPECT_NEAR(squares / 1000, 1, 0.2);
  const Tensor u = rand({1000}, 7, {.dtype = DType::f64});
  for (const double v : u.to_doubles()) low = std::min(low, v), high = std::max(high, v), mean += v;
  EXPECT_TRUE(low >= 0 && high < 1) << low << " " << high;
  EXPECT_NEAR(mean / 1000, 0.5, 0.05);
  EXPECT_EQ(rand({1, 2, 2, 2}, 7, {.format = MemoryFormat::channels_last}).to_doubles(),
            rand({1, 2, 2, 2}, 7).to_doubles());  // logical order
  EXPECT_THROW(randn({2}, 7, {.dtype = DType::i64}), Error);
}

}  // namespace
}  // namespace graft
