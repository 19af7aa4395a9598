// Augment: random changes of a training sample, all numbers counted. Training only; nothing of it
// runs at inference.
#pragma once
#include <string>

#include "graft/core/runtime/random.h"
#include "graft/io/preprocess.h"
#include "graft/io/random_ops.h"

namespace graft::io {

struct Augment {
  bool flip = false;  // mirrored with probability 1/2
  double scale_low = 1,
         scale_high = 1;  // random resized crop: share of the image's area; 1, 1: no crop
  double ratio_low = 3.0 / 4, ratio_high = 4.0 / 3;     // of its sides
  double brightness = 0, contrast = 0, saturation = 0;  // factor drawn from [1 - x, 1 + x]
  OpPolicy ops = OpPolicy::none;  // random_ops.h; masks and boxes do not follow
  double erase = 0;               // the probability that a rectangle becomes the mean colour
  std::string other{};  // of samples that are no images: changes by a name that their input reads

  bool any() const { return flip || crops() || jitters() || changes() || !other.empty(); }
  bool crops() const { return scale_low < 1 || scale_high < 1; }
  bool jitters() const { return brightness > 0 || contrast > 0 || saturation > 0; }
  bool changes() const { return ops != OpPolicy::none || erase > 0; }
  bool operator==(const Augment&) const = default;
};

// Names on the command line: none; light (flip and a crop of 0.8 to 1 of the area); strong (light
// with crops from 0.4 and colour jitter 0.2). bad_input for others.
GRAFT_API Augment augment_named(const std::string& name);

// The same with the crops' proportions relative to those of the network's input.
GRAFT_API Augment augment_for(const Preprocess& preprocess, Augment augment);

// Where a random resized crop falls in an image: torchvision's rule, ten tries at a box of the
// drawn area and ratio, else the largest central box.
GRAFT_API ResizeBox random_box(int64_t width, int64_t height, const Augment& augment,
                               CountedRandom& random);
GRAFT_API void mirror(Image& image);  // left to right, in place
// Changes brightness, contrast and saturation in place, by factors drawn in this order.
GRAFT_API void jitter(Image& image, const Augment& augment, CountedRandom& random);
// What `ops` and `erase` draw, in place; an erased rectangle gets the mean of the preprocessing.
GRAFT_API void change(Image& image, const Preprocess& preprocess, const Augment& augment,
                      CountedRandom& random);

// The image as an input of `preprocess`, changed at random.
GRAFT_API Image augmented(const Image& image, const Preprocess& preprocess, const Augment& augment,
                          CountedRandom& random);

}  // namespace graft::io
