// What an import guesses of the preprocessing when a file says nothing.
#pragma once
#include <array>

#include "graft/io/preprocess.h"
#include "graft/models/certificate.h"

namespace graft::models {

// How much larger the first norm's variance [K] is than independent inputs of deviation 1 through
// `weight` [K,C,R,S] would make it; 0 when either is undefined or they do not fit. About 1 to 10
// for normalised pixels, some thousands (about 58 squared) for pixels of 0 .. 255.
GRAFT_API double input_variance(const Tensor& weight, const Tensor& variance);

// imagenet_preprocess of height and width; where they differ images are squashed: such networks are
// for images of their own proportions.
GRAFT_API io::Preprocess usual_geometry(std::array<int64_t, 2> sides);

// ImageNet's usual one, or Caffe's where that variance shows raw pixels; of height and width.
GRAFT_API io::Preprocess guess_imagenet_preprocess(double variance, Finding& finding,
                                                   std::array<int64_t, 2> sides = {224, 224});

// "RGB x 0.003922, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225), 224x224".
GRAFT_API std::string text_of(const io::Preprocess& p);

// The same for grey images: the mean of the channels' numbers.
GRAFT_API io::Preprocess grey_preprocess(io::Preprocess p);

}  // namespace graft::models
