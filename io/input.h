// InputMaker: a sample of a data set as a network's input: decoded, cropped, resized, mirrored and
// normalised, with as little of a JPEG decoded as the crop needs.
#pragma once
#include <memory>

#include "graft/io/augment.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/preprocess.h"

namespace graft::io {

// A crop of a JPEG may be decoded at 1/2, 1/4 or 1/8 while what is decoded stays this many times as
// wide and high as the network's input (the antialiased resize does the rest). Augmented images
// only: Preprocess alone always sees all pixels.
inline constexpr double kShrinkMargin = 2;

// For one thread; keeps its memory from one sample to the next.
class GRAFT_API InputMaker {
 public:
  InputMaker(const Preprocess& preprocess, const Augment& augment);
  ~InputMaker();
  InputMaker(const InputMaker&) = delete;
  InputMaker& operator=(const InputMaker&) = delete;

  // Writes [size,size,channels] floats. With `random` the sample is changed by the augmentation,
  // without it only preprocessed: the bits of Preprocess::geometry and normalise_into.
  // Error(bad_input) naming the file.
  void input(const Dataset& dataset, int64_t sample, CountedRandom* random, float* out);
  // The same before normalisation: u8 [size,size,channels], valid until the next call; mirrored:
  // still to be.
  struct Pixels {
    const uint8_t* data;
    bool mirrored;
  };
  Pixels pixels(const Dataset& dataset, int64_t sample, CountedRandom* random);
  // Gives back what the last sample's file and decoder hold; the pixels stay.
  void let_go();
  void normalise(const Pixels& pixels, float* out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft::io
