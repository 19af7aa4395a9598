// SampleViews: how the samples of an epoch are seen: which random numbers change each, and so which
// place of it every pixel shows. A function of counted numbers alone, so that whoever makes a
// sample's targets knows it without its pixels.
#pragma once
#include <optional>

#include "graft/io/augment.h"
#include "graft/io/input_geometry.h"
#include "graft/io/preprocess.h"

namespace graft::train {

struct GRAFT_API SampleViews {
  io::Preprocess preprocess{};
  io::Augment augment{};
  uint64_t seed = 0;
  int64_t views = 0;  // LoaderOptions::views
  int64_t epoch = 0;  // from 0

  // Nothing where the sample is seen as it is.
  std::optional<CountedRandom> random_of(int64_t sample) const;
  // Of the sample, whose upright image is of this size, in the network's input.
  io::InputGeometry geometry(int64_t sample, int64_t width, int64_t height) const;
};

}  // namespace graft::train
