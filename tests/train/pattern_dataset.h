// A data set made of formulas: small images whose class shows in their colour, with counted noise.
// For tests of training.
#pragma once
#include <string>

#include "graft/core/runtime/random.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/preprocess.h"

namespace graft {

class PatternDataset final : public io::Dataset {
 public:
  PatternDataset(int64_t size, int64_t classes, int64_t side, uint64_t seed = 0)
      : size_(size), classes_(classes), side_(side), seed_(seed) {}

  int64_t broken = -1;  // the image that cannot be read

  int64_t size() const override { return size_; }
  int64_t label(int64_t index) const override { return index % classes_; }
  std::string name(int64_t index) const override { return str("pattern[", index, "]"); }
  std::string fingerprint() const override {
    return str("pattern ", size_, " ", classes_, " ", side_, " ", seed_);
  }

  io::Image image(int64_t index) const override {
    GRAFT_CHECK(index != broken, name(index), ": broken JPEG: for a test");
    const int64_t height = side_ + index % 3, width = side_ + index % 2;
    io::Image image{width, height, 3, Tensor::empty({height, width, 3}, {.dtype = DType::u8})};
    CountedRandom random(seed_, RandomPurpose::synthetic, 0, static_cast<uint64_t>(index));
    uint8_t* p = image.pixels.mutable_data<uint8_t>();
    for (int64_t i = 0; i < height * width * 3; ++i)
      p[i] = static_cast<uint8_t>(random.below(96) + (i % 3 == label(index) % 3 ? 110 : 40) +
                                  20 * (label(index) / 3));
    return image;
  }

 private:
  int64_t size_, classes_, side_;
  uint64_t seed_;
};

// Plain preprocessing to side x side.
inline io::Preprocess pattern_preprocess(int64_t side) {
  io::Preprocess p;
  p.size = side;
  p.resize_to = 0;
  return p;
}

}  // namespace graft
