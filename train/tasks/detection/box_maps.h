// What a map of places says of boxes: which place is to find which object, and which boxes the
// places' numbers are.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graft/train/tasks/detection/average_precision.h"

namespace graft::train {

// A place stands for the middle of a square of so many pixels of the network's input.
inline constexpr int64_t kPlaceStride = 8;
// Maps beside the classes' logits: the logarithms of the distances, in strides, from the place to a
// box's left, top, right and bottom edge; and the logit of how well the box fits.
inline constexpr int64_t kBoxMaps = 5;
inline constexpr double kLeastLog = -4, kMostLog = 5;  // between which the logarithms are kept

// For boxes in the input's pixels, into [5,rows,columns]: the class that a place is to find, -1:
// none, and the distances in strides (1 where there is none). A place finds a box that it lies in,
// within 1.5 strides of its middle in both directions; of several the smallest. Crowds are found by
// none. Source: Tian et al., FCOS (2019), with the center sampling of its later version.
GRAFT_API void assign_places(std::span<const io::LabelledBox> boxes, int64_t rows, int64_t columns,
                             float* out);

struct FindOptions {
  double least_score = 0.05;  // boxes below are not found
  double most_overlap = 0.5;  // of two of a class: more, and the one of lower score goes
  int64_t most = 100;         // boxes of an image
};

// Of maps [classes+5,rows,columns]: the boxes found, in the input's pixels and within it, the
// highest score first. A place says its likeliest class, with the square root of its probability
// times that of the fit as score.
GRAFT_API std::vector<FoundBox> found_boxes(std::span<const float> maps, int64_t classes,
                                            int64_t rows, int64_t columns,
                                            const FindOptions& options = {});

}  // namespace graft::train
