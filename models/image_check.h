// ImageCheck: the statistics that images of the user's leave in a network, beside the running
// statistics of its batch norms.
#pragma once
#include <string>
#include <vector>

#include "graft/layers/modules/staged_network.h"

namespace graft::models {

// Two measures per batch norm, over its channels: how far the images' means lie from the running
// means, in running deviations (root of the mean square), and the fit, the mean of that distance
// squared and of the squared logarithm of the ratio of variances.
//
// Other images than those of the training shift both, so neither is held against a fixed bound
// alone:
//  - A norm is doubted where the distance is kRise times that of every norm before it, and at least
//  kFar: shifts of the
//    images fade from layer to layer. On the good networks that graft is tested with (CIFAR
//    ResNet-20 and -56, ImageNet ResNet-50, four data sets each, grey clothes among them) none of
//    at least kFar is more than 1.65 times all before.
//  - A convolution is doubted where its kernels, turned by 180 degrees or with rows and columns
//  swapped, fit the norm
//    behind it kBetter times as well. On the good networks they never fit more than 1.54 times as
//    well.
struct GRAFT_API ImageCheck {
  int64_t images = 0, norms = 0;
  double nearest = 0, furthest = 0;  // distances
  std::vector<std::string> doubts{};
  static constexpr double kRise = 2, kFar = 0.5, kBetter = 1.75;
  std::string to_text() const;  // "16 of your images: the means of 19 norms lie 0.06 to 0.35
                                // deviations from the running ones"
};

// images: f32 [N,C,H,W] as the network takes them, of all kinds that there are; 8 of 224x224 and 32
// of 32x32 are enough. Norms at the paths in `neutral` are left out, as are those of an untrained
// network (mean 0, variance 1).
GRAFT_API ImageCheck check_with_images(StagedNetwork& network,
                                       const std::vector<std::string>& neutral,
                                       const Tensor& images);

// How many images of this side that takes.
GRAFT_API int64_t images_to_check(int64_t side);

}  // namespace graft::models
