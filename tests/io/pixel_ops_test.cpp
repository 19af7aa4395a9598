// Changes of pixels against Pillow (tests/golden/make_pixel_ops.py), and what policies draw.
#include "graft/io/pixel_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "graft/io/augment.h"
#include "graft/io/weights/weights.h"

namespace graft::io {
namespace {

constexpr int kOps = 14;

const StateDict& pixel_goldens() {
  static const StateDict tensors = read_weights(GRAFT_TEST_DATA "/images/pixel_ops.npz").tensors;
  return tensors;
}

Image golden_image(const std::string& name) {
  const Tensor pixels = pixel_goldens().at("image/" + name).clone();
  const int64_t channels = pixels.rank() == 3 ? 3 : 1;
  return {pixels.size(1), pixels.size(0), channels,
          pixels.reshape({pixels.size(0), pixels.size(1), channels})};
}

// Bit for bit: the bound is 0.
TEST(PixelOps, ArePillows) {
  int compared = 0;
  for (const std::string name : {"rgb", "grey"})
    for (int k = 1; k < kOps; ++k) {
      const auto op = static_cast<PixelOp>(k);
      const auto magnitudes = pixel_goldens().at("magnitudes/" + name_of(op)).to_doubles();
      for (size_t i = 0; i < magnitudes.size(); ++i) {
        Image image = golden_image(name);
        apply(image, op, magnitudes[i]);
        EXPECT_EQ(image.pixels.to_doubles(),
                  pixel_goldens().at(str(name, "/", name_of(op), "/", i)).to_doubles())
            << name << " " << name_of(op) << " " << magnitudes[i];
        ++compared;
      }
    }
  EXPECT_EQ(compared, 110);
}

TEST(PixelOps, OfNothingAndOfOneColour) {
  Image image = golden_image("rgb");
  apply(image, PixelOp::identity, 7);
  EXPECT_EQ(image.pixels.to_doubles(), golden_image("rgb").pixels.to_doubles());
  for (int k = 0; k < kOps; ++k)
    for (const auto& [width, height] : {std::pair<int64_t, int64_t>{1, 1}, {1, 7}, {2, 2}}) {
      Image flat{width, height, 3, Tensor::full({height, width, 3}, 90, {.dtype = DType::u8})};
      apply(flat, static_cast<PixelOp>(k), 0.5);
      EXPECT_EQ(flat.pixels.shape(), Shape({height, width, 3}));
    }
}

TEST(PixelOps, RefuseOtherImages) {
  Image four{2, 2, 4, Tensor::zeros({2, 2, 4}, {.dtype = DType::u8})};
  EXPECT_THROW(apply(four, PixelOp::rotate, 5), Error);
  Image image = golden_image("rgb");
  EXPECT_THROW(apply(image, PixelOp::rotate, std::nan("")), Error);
}

// torchvision's tables: the 31 magnitudes of each.
TEST(OpPolicies, HaveTorchvisionsStrengths) {
  const auto of = [](OpPolicy policy, PixelOp op) { return op_strengths(policy, op, 331, 662); };
  const auto expect_range = [](const OpStrengths& s, double first, double last, bool is_signed) {
    ASSERT_EQ(s.magnitudes.size(), 31u);
    EXPECT_DOUBLE_EQ(s.magnitudes.front(), first);
    EXPECT_DOUBLE_EQ(s.magnitudes.back(), last);
    EXPECT_NEAR(s.magnitudes[15], (first + last) / 2, 0.5);
    EXPECT_EQ(s.is_signed, is_signed);
  };
  expect_range(of(OpPolicy::trivial, PixelOp::shear_x), 0, 0.99, true);
  expect_range(of(OpPolicy::rand, PixelOp::shear_y), 0, 0.3, true);
  expect_range(of(OpPolicy::trivial, PixelOp::translate_y), 0, 32, true);
  expect_range(of(OpPolicy::rand, PixelOp::translate_x), 0, 150, true);
  expect_range(of(OpPolicy::rand, PixelOp::translate_y), 0, 300, true);
  expect_range(of(OpPolicy::trivial, PixelOp::rotate), 0, 135, true);
  expect_range(of(OpPolicy::rand, PixelOp::rotate), 0, 30, true);
  expect_range(of(OpPolicy::trivial, PixelOp::sharpness), 0, 0.99, true);
  expect_range(of(OpPolicy::rand, PixelOp::color), 0, 0.9, true);
  expect_range(of(OpPolicy::trivial, PixelOp::posterize), 8, 2, false);
  expect_range(of(OpPolicy::rand, PixelOp::posterize), 8, 4, false);
  expect_range(of(OpPolicy::trivial, PixelOp::solarize), 255, 0, false);
  EXPECT_EQ(of(OpPolicy::trivial, PixelOp::equalize).magnitudes.size(), 1u);
}

TEST(OpPolicies, DrawEveryOpAndBothSigns) {
  for (const OpPolicy policy : {OpPolicy::trivial, OpPolicy::rand}) {
    std::map<PixelOp, int> counts;
    std::set<double> turns;
    const size_t each = policy == OpPolicy::rand ? 2 : 1;
    for (uint64_t sample = 0; sample < 1400; ++sample) {
      CountedRandom random(1, RandomPurpose::augmentation, 0, sample), again = random;
      const auto drawn = draw_ops(policy, 32, 32, random), same = draw_ops(policy, 32, 32, again);
      ASSERT_EQ(drawn.size(), each);
      for (size_t i = 0; i < each; ++i) {
        EXPECT_EQ(drawn[i].op, same[i].op);
        EXPECT_EQ(drawn[i].magnitude, same[i].magnitude);
        ++counts[drawn[i].op];
        if (drawn[i].op == PixelOp::rotate) turns.insert(drawn[i].magnitude);
      }
    }
    ASSERT_EQ(counts.size(), 14u);
    for (const auto& [op, count] : counts)
      EXPECT_NEAR(count, 100 * static_cast<int>(each), 50 * static_cast<int>(each)) << name_of(op);
    EXPECT_LT(*turns.begin(), 0);
    EXPECT_GT(*turns.rbegin(), 0);
    EXPECT_EQ(turns.size() == 2, policy == OpPolicy::rand);
  }
  CountedRandom random(1, RandomPurpose::augmentation);
  EXPECT_TRUE(draw_ops(OpPolicy::none, 32, 32, random).empty());
  EXPECT_EQ(random.position(), 0u);  // what has no policy draws as it always did
  EXPECT_FALSE(draw_erased(0, 32, 32, random).has_value());
  EXPECT_EQ(random.position(), 0u);
}

TEST(RandomErasing, TakesTheShareItPromises) {
  int erased = 0;
  for (uint64_t sample = 0; sample < 2000; ++sample) {
    CountedRandom random(2, RandomPurpose::augmentation, 0, sample);
    const auto box = draw_erased(0.25, 60, 40, random);
    if (!box) continue;
    ++erased;
    const double share = static_cast<double>(box->width * box->height) / 2400,
                 ratio = static_cast<double>(box->height) / static_cast<double>(box->width);
    EXPECT_GE(share, 0.015);
    EXPECT_LE(share, 0.35);
    EXPECT_GE(ratio, 0.25);
    EXPECT_LE(ratio, 4);
    EXPECT_GE(box->left, 0);
    EXPECT_GE(box->top, 0);
    EXPECT_LE(box->left + box->width, 60);
    EXPECT_LE(box->top + box->height, 40);
  }
  EXPECT_NEAR(erased, 500, 70);
  CountedRandom random(2, RandomPurpose::augmentation);
  EXPECT_FALSE(draw_erased(1, 1, 1, random).has_value());  // no rectangle is smaller
}

TEST(RandomErasing, GivesTheMeanColour) {
  Preprocess preprocess;
  preprocess.size = 12;
  preprocess.resize_to = 0;
  const Augment augment{.erase = 1};
  for (const bool bgr : {false, true}) {
    preprocess.bgr = bgr;
    Image image{12, 12, 3, Tensor::full({12, 12, 3}, 7, {.dtype = DType::u8})};
    CountedRandom random(4, RandomPurpose::augmentation);
    const Image changed = augmented(image, preprocess, augment, random);
    const uint8_t* p = changed.pixels.data<uint8_t>();
    int erased = 0;
    for (int i = 0; i < 144; ++i, p += 3) {
      if (p[0] == 7) continue;
      ++erased;
      EXPECT_EQ(p[0], bgr ? 104 : 124);
      EXPECT_EQ(p[1], 116);
      EXPECT_EQ(p[2], bgr ? 124 : 104);
    }
    EXPECT_GT(erased, 0);
    EXPECT_LT(erased, 60);
    EXPECT_EQ(image.pixels.data<uint8_t>()[0], 7);
  }
}

}  // namespace
}  // namespace graft::io
