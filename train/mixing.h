// Mixup and CutMix: a training batch whose samples are each mixed with another of it, and their
// targets with them. (Zhang et al., "mixup", ICLR 2018; Yun et al., "CutMix", ICCV 2019.)
#pragma once
#include <cstdint>

#include "graft/core/runtime/random.h"
#include "graft/train/loader.h"
#include "graft/train/recipe.h"

namespace graft::train {

inline bool mixes(const Recipe& recipe) { return recipe.mixup > 0 || recipe.cutmix > 0; }

// The share of a sample's own that stays, by Beta(recipe.mixup, recipe.mixup) or that of cutmix; a
// function of the seed, the epoch and the step alone. Each sample's other is the one before it in
// the batch, the first one's the last. Nothing happens by a recipe that does not mix. x is f32
// [N,C,H,W] on the host.
GRAFT_API void mix(Batch& batch, const Recipe& recipe, const Task& task, int64_t epoch,
                   int64_t step);

// Beta(a, a): x / (x + y) of two Gamma(a, 1) (Marsaglia and Tsang, ACM TOMS 26, 2000).
GRAFT_API double symmetric_beta(double a, CountedRandom& random);
// share * x + (1 - share) * the other's, as torchvision's v2.MixUp.
GRAFT_API Tensor mixed_images(const Tensor& x, double share);
// The rectangle [top, bottom) x [left, right) of the other, as torchvision's v2.CutMix.
struct CutBox {
  int64_t top, bottom, left, right;
};
GRAFT_API CutBox cut_box(int64_t height, int64_t width, double share, int64_t center_y,
                         int64_t center_x);
GRAFT_API Tensor pasted_images(const Tensor& x, const CutBox& box);

}  // namespace graft::train
