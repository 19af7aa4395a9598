// What an import guesses of the preprocessing when a file says nothing.
#pragma once
#include "graft/io/preprocess.h"
#include "graft/models/certificate.h"

namespace graft::models {

// How much larger the first norm's variance [K] is than independent inputs of deviation 1 through
// `weight` [K,C,R,S] would make it; 0 when either is undefined or they do not fit. About 1 to 10
// for normalised pixels, some thousands (about 58 squared) for pixels of 0 .. 255.
double input_variance(const Tensor& weight, const Tensor& variance);

// ImageNet's usual one, or Caffe's where that variance shows raw pixels; 224x224.
io::Preprocess guess_imagenet_preprocess(double variance, Finding& finding);

// The same for grey images: the mean of the channels' numbers.
io::Preprocess grey_preprocess(io::Preprocess p);

}  // namespace graft::models
