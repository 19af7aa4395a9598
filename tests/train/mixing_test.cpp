// Mixup and CutMix: the pictures and targets that torchvision's v2.MixUp and v2.CutMix make of the
// same share and place, shares of a Beta distribution, and runs that are counted.
#include "graft/train/mixing.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

Tensor numbered(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data<float>()[i] = static_cast<float>(i);
  return x;
}

TEST(Mixing, IsWithTheSampleBefore) {
  const Tensor x = numbered({3, 2, 1, 2});
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const auto mixed = mixed_images(x.to(format), 0.75).to_doubles();
    const auto whole = x.to_doubles();
    for (size_t i = 0; i < 12; ++i)
      EXPECT_DOUBLE_EQ(mixed[i], 0.75 * whole[i] + 0.25 * whole[(i + 8) % 12]) << i;
  }
}

// torchvision 0.26: r = 0.5 sqrt(1 - share), halves int(r * side), clamped to the image.
TEST(Mixing, PastesARectangleOfTheSampleBefore) {
  const CutBox box = cut_box(8, 10, 0.75, 1, 9);
  EXPECT_EQ(box.top, 0);
  EXPECT_EQ(box.bottom, 3);
  EXPECT_EQ(box.left, 7);
  EXPECT_EQ(box.right, 10);
  const Tensor x = numbered({2, 3, 8, 10});
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const auto pasted = pasted_images(x.to(format), box).to_doubles();
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t row = i / 10 % 8, column = i % 10;
      const bool inside = row < 3 && column >= 7;
      EXPECT_EQ(pasted[static_cast<size_t>(i)], static_cast<double>(inside ? (i + 240) % 480 : i));
    }
  }
  const CutBox none = cut_box(8, 10, 1, 4, 4), all = cut_box(8, 10, 0, 4, 5);
  EXPECT_EQ(none.top, none.bottom);
  EXPECT_EQ((all.bottom - all.top) * (all.right - all.left), 80);
}

TEST(Mixing, SharesAreOfABetaDistribution) {
  for (const double a : {0.05, 0.2, 1.0, 3.0}) {
    CountedRandom random(7, RandomPurpose::mixing);
    double sum = 0, squares = 0;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) {
      const double share = symmetric_beta(a, random);
      ASSERT_TRUE(share >= 0 && share <= 1) << a;
      sum += share;
      squares += (share - 0.5) * (share - 0.5);
    }
    EXPECT_NEAR(sum / kDraws, 0.5, 0.02) << a;
    EXPECT_NEAR(squares / kDraws, 1 / (4 * (2 * a + 1)), 0.01) << a;
  }
}

TEST(Mixing, TargetsAreProbabilities) {
  const Classification task(3);
  const Targets mixed = task.mixed(Tensor::of<int64_t>({3}, {2, 0, 0}), 0.75);
  ASSERT_EQ(mixed.tensors.size(), 2u);
  EXPECT_EQ(mixed.tensors[1].to_doubles(),
            (std::vector<double>{0.25, 0, 0.75, 0.75, 0, 0.25, 1, 0, 0}));
  const Tensor outputs = Tensor::of<float>({3, 3}, {1, 2, 3, 3, 2, 1, 0, 0, 1});
  // Cross-entropies of the two labels, by shares.
  const double own = task.loss(outputs, Tensor::of<int64_t>({3}, {2, 0, 0})).item(),
               other = task.loss(outputs, Tensor::of<int64_t>({3}, {0, 2, 0})).item();
  EXPECT_NEAR(task.loss(outputs, mixed).item(), 0.75 * own + 0.25 * other, 1e-6);
  EXPECT_DOUBLE_EQ(task.running_sum(outputs, mixed), 0.75 + 0.75);
  EXPECT_EQ(task.weight(mixed), 3);
  EXPECT_EQ(task.mixed(Tensor::of<int64_t>({1}, {1}), 0.3).tensors[1].size(1), 3);
}

Recipe mixing_recipe() {
  Recipe recipe = small_recipe();
  recipe.mixup = 0.2;
  recipe.cutmix = 1;
  return recipe;
}

TEST(Mixing, IsCountedAndResumes) {
  const Recipe recipe = mixing_recipe();
  const Outcome whole = run_small(recipe);
  EXPECT_EQ(run_small(recipe), whole);
  EXPECT_NE(whole.model, run_small(small_recipe()).model);
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  FitOptions options{.folder = folder / "run", .checkpoint_seconds = 0};
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics& metrics) { stop = metrics.epoch == 2; };
  run_small(recipe, options);
  EXPECT_EQ(run_small(recipe, {.folder = folder / "run", .resume = true}), whole);
}

TEST(Mixing, EitherAloneChangesTheRun) {
  Recipe mixup = mixing_recipe(), cutmix = mixing_recipe();
  mixup.cutmix = cutmix.mixup = 0;
  EXPECT_NE(run_small(mixup).model, run_small(cutmix).model);
}

TEST(Mixing, WhatMeansNothingIsOneSentence) {
  const auto complaint = [](const Recipe& recipe, std::shared_ptr<Task> task = nullptr) {
    try {
      FitOptions options;
      options.task = std::move(task);
      run_small(recipe, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
      return std::string(error.what());
    }
    return std::string("no error");
  };
  Recipe recipe = mixing_recipe();
  recipe.freeze = "stem";
  EXPECT_NE(complaint(recipe).find("not for freeze stem"), std::string::npos);
  recipe.probe_epochs = 1;  // said before the probe
  EXPECT_NE(complaint(recipe).find("not for freeze stem"), std::string::npos);
  struct NoMixture final : Classification {
    NoMixture() : Classification(3) {}
    bool mixes() const override { return false; }
  };
  EXPECT_NE(complaint(mixing_recipe(), std::make_shared<NoMixture>()).find("no such mixture"),
            std::string::npos);
  recipe = mixing_recipe();
  recipe.mixup = -1;
  EXPECT_THROW(recipe.validate(), Error);
}

}  // namespace
}  // namespace graft::train
