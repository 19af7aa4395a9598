// What the tests of maps and of boxes share: images of a bright square on dark ground, their
// preprocessing, and a network of one convolution and a head of maps.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/train/fit.h"

namespace graft::train {

// Grey images; a square's corner is drawn from so many columns and rows.
class SquareImages : public io::Dataset {
 public:
  struct Sides {
    int64_t width, height, square_width, square_height, columns, rows;
  };
  SquareImages(int64_t size, uint64_t seed, Sides sides)
      : size_(size), seed_(seed), sides_(sides) {}
  int64_t size() const override { return size_; }
  int64_t label(int64_t) const override { return 0; }
  std::string name(int64_t i) const override { return str("square ", i); }
  std::string fingerprint() const override { return str(size_, " ", seed_); }

 protected:
  std::pair<int64_t, int64_t> corner(int64_t i) const {
    CountedRandom random(seed_, RandomPurpose::split, 0, static_cast<uint64_t>(i));
    const auto left = static_cast<int64_t>(random.below(static_cast<uint64_t>(sides_.columns)));
    return {left, static_cast<int64_t>(random.below(static_cast<uint64_t>(sides_.rows)))};
  }
  io::Image painted(int64_t i, uint8_t ground, uint8_t square) const {
    const auto [left, top] = corner(i);
    std::vector<uint8_t> pixels;
    for (int64_t y = 0; y < sides_.height; ++y)
      for (int64_t x = 0; x < sides_.width; ++x)
        pixels.push_back(x >= left && x < left + sides_.square_width && y >= top &&
                                 y < top + sides_.square_height
                             ? square
                             : ground);
    return {sides_.width, sides_.height, 1,
            Tensor::of<uint8_t>({sides_.height, sides_.width, 1}, pixels)};
  }

 private:
  int64_t size_;
  uint64_t seed_;
  Sides sides_;
};

template <class Squares>
io::OpenedData opened_squares(int64_t train, int64_t val, io::AnswerKind answers,
                              std::vector<std::string> classes) {
  io::OpenedData data;
  data.train = std::make_shared<Squares>(train, 1);
  data.val = std::make_shared<Squares>(val, 2);
  data.answers = answers;
  data.classes = std::move(classes);
  data.manifest_sha256 = "squares";
  return data;
}

// Pixels over 255; no resize before `fit`.
inline io::Preprocess squares_input(int64_t height, int64_t width, const char* fit = "squash") {
  io::Preprocess p;
  p.mean = {0, 0, 0};
  p.deviation = {1, 1, 1};
  p.resize_to = 0;
  p.set_size(height, width);
  p.set_fit(fit);
  return p;
}

// A convolution, and a 3x3 one that gives so many maps.
class SmallMapNetwork : public StagedNetwork {
 public:
  SmallMapNetwork(const Conv2dOptions& first, int64_t channels, int64_t maps) {
    register_module("conv", std::make_shared<Conv2d>(first));
    Conv2dOptions head{channels, maps, 3, 1, 1};
    head.bias = true;
    register_module("head", std::make_shared<Conv2d>(head));
  }
  const std::vector<std::string>& stages() const override { return stages_; }
  std::vector<std::string> stage_paths(size_t stage) const override {
    return {stage == 0 ? "conv" : "head"};
  }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override {
    Tensor y = x;
    if (begin == 0 && end > 0) y = functional::relu(find("conv")->forward(y));
    return end == 2 && begin < 2 ? find("head")->forward(y) : y;
  }

 private:
  std::vector<std::string> stages_{"stem", "head"};
};

// The first numbers of each epoch.
inline std::string history_text(const FitResult& result) {
  std::string history;
  for (const EpochMetrics& m : result.history)
    history += str(m.loss, " ", m.val[0].value, " ", m.train.value, "\n");
  return history;
}

// The sentence by which fit() refuses a recipe for these data.
inline std::string refusal_of(StagedNetwork& network, const io::OpenedData& data,
                              const io::Preprocess& preprocess, const Recipe& recipe) {
  try {
    fit(network, data, preprocess, recipe, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace graft::train
