// The two steps of a Preprocess for many images: what of an image is kept, and a table of what each
// pixel value becomes.
#pragma once
#include <array>

#include "graft/core/runtime/random.h"
#include "graft/io/preprocess.h"

namespace graft::io {

// What of an image of this size Preprocess::geometry() keeps.
ResizedWindow kept_window(const Preprocess& preprocess, int64_t width, int64_t height);

// A window of an image at its own scale, at random where the image is larger
// (Preprocess::own_scale).
ResizedWindow random_window(const Preprocess& preprocess, int64_t width, int64_t height,
                            CountedRandom& random);

class Normaliser {
 public:
  explicit Normaliser(const Preprocess& preprocess);
  // u8 [height,width,channels], RGB, to floats in the network's channel order; mirrored: from right
  // to left.
  void operator()(const uint8_t* pixels, bool mirrored, float* out) const;

 private:
  int64_t height_, width_, channels_;
  std::array<size_t, 3> from_;  // the pixel's channel that becomes channel c
  std::array<std::array<float, 256>, 3> table_;
};

}  // namespace graft::io
