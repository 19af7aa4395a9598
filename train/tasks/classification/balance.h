// Training data whose classes are of uneven size: made even by repeating images, or by weighing
// their losses (Recipe::balance).
#pragma once
#include <memory>
#include <vector>

#include "graft/io/datasets/dataset.h"

namespace graft::train {

// images / (classes with images * images of the class), so that every class counts alike and the
// mean over the images is 1; 1 for a class without images.
GRAFT_API std::vector<double> class_weights(const io::Dataset& dataset, int64_t classes);

// Every class as often as the largest: its images repeated as a whole, the rest drawn by seed.
GRAFT_API std::shared_ptr<const io::Dataset> evenly_sampled(
    std::shared_ptr<const io::Dataset> dataset, int64_t classes, uint64_t seed);

}  // namespace graft::train
