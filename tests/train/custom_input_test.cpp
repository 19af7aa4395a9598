// An input that a program brings itself: samples that are curves, not images. Training, caching,
// the best epoch and resuming know nothing of it.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>

#include "graft/core/base/file_system.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/inputs/table.h"

namespace graft::train {
namespace {

constexpr int64_t kSide = 8, kPoints = kSide * kSide;

// 64 numbers a sample, which swing as fast as its class says.
class Curves final : public io::Dataset {
 public:
  explicit Curves(int64_t size, uint64_t seed) : size_(size), seed_(seed) {}
  int64_t size() const override { return size_; }
  int64_t label(int64_t index) const override { return index % 3; }
  io::Image image(int64_t index) const override { bad_input(name(index), ": no image"); }
  std::string name(int64_t index) const override { return str("curve[", index, "]"); }
  std::string fingerprint() const override { return str("curves ", size_, " ", seed_); }
  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    CountedRandom random(seed_, RandomPurpose::synthetic, 0, static_cast<uint64_t>(index));
    std::vector<float> points;
    for (int64_t i = 0; i < kPoints; ++i)
      points.push_back(static_cast<float>(
          std::sin(0.2 * static_cast<double>((label(index) * 4 + 1) * i)) + random.uniform()));
    const auto all = std::as_bytes(std::span(points));
    bytes.assign(all.begin(), all.end());
    return true;
  }

 private:
  int64_t size_;
  uint64_t seed_;
};

class CurveMaker final : public SampleMaker {
 public:
  explicit CurveMaker(bool changes) : changes_(changes) {}
  Kept make(const io::Dataset& dataset, int64_t sample, CountedRandom* random) override {
    GRAFT_CHECK(dataset.encoded(sample, bytes_), dataset.name(sample), ": no curve");
    std::vector<float> points(kPoints);
    std::memcpy(points.data(), bytes_.data(), bytes_.size());
    const auto factor = static_cast<float>(random && changes_ ? random->uniform(0.5, 1.5) : 1);
    made_.clear();
    for (const float point : points) made_.insert(made_.end(), 3, point * factor);
    return {made_.data()};
  }
  void finish(const Kept& kept, float* out) const override {
    std::memcpy(out, kept.data, 3 * kPoints * sizeof(float));
  }

 private:
  bool changes_;
  std::vector<std::byte> bytes_;
  std::vector<float> made_;
};

class CurveInput final : public Input {
 public:
  std::string name() const override { return "curve"; }
  std::unique_ptr<SampleMaker> maker(const io::Preprocess&,
                                     const io::Augment& augment) const override {
    return std::make_unique<CurveMaker>(!augment.other.empty());
  }
  io::Augment augment(const std::string& name) const override {
    io::Augment augment;
    if (name != "none") augment.other = name;
    return augment;
  }
};

Outcome run_curves(const Recipe& recipe, FitOptions options = {}) {
  io::OpenedData data;
  data.train = std::make_shared<Curves>(25, 1);
  data.val = io::subset(std::make_shared<Curves>(20, 2), {0, 1, 2, 5, 6, 7, 9, 10, 11});
  data.classes = {"slow", "middle", "fast"};
  io::Preprocess preprocess = pattern_preprocess(kSide);
  CurveInput().enter(preprocess, "");
  options.input = std::make_shared<CurveInput>();
  const auto network = small_network();
  FitResult result = fit(*network, data, preprocess, recipe, options);
  return {bytes_of(*network), numbers_of(result), std::move(result)};
}

TEST(CustomInput, LearnsCachesAndKeepsTheBest) {
  Recipe recipe = small_recipe("backbone");
  recipe.epochs = 20;
  const Outcome cached = run_curves(recipe);
  EXPECT_EQ(cached.result.cached_stages, 4);
  const auto& highest =
      cached.result.history.at(static_cast<size_t>(cached.result.highest_epoch - 1));
  EXPECT_GT(highest.val.at(0).value, 0.6) << "on features of a random backbone; 1/3 is chance";
  recipe.cache_features = false;
  EXPECT_EQ(run_curves(recipe).metrics, cached.metrics);
  FitOptions options;
  options.ram = int64_t{1} << 30;
  options.workers = 2;
  recipe.cache_features = true;
  EXPECT_EQ(run_curves(recipe, options).metrics, cached.metrics);
}

TEST(CustomInput, ResumesToTheSameBitsWithItsOwnAugmentation) {
  Recipe recipe = small_recipe("none");
  recipe.augment = "light";
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  FitOptions options{.folder = folder / "run", .identity = "x", .checkpoint_seconds = 0};
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  EXPECT_TRUE(run_curves(recipe, options).result.interrupted);
  stop = false;
  options.on_epoch = {};
  options.resume = true;
  options.workers = 2;
  const Outcome whole = run_curves(recipe);
  EXPECT_EQ(run_curves(recipe, options), whole);
  recipe.augment = "none";
  EXPECT_NE(run_curves(recipe), whole);
}

TEST(CustomInput, IsNoneThatGraftKnowsByName) {
  EXPECT_EQ(input_names(), (std::vector<std::string>{"image", "audio", "text"}));
  io::Preprocess preprocess = pattern_preprocess(kSide);
  EXPECT_EQ(input_of(preprocess)->name(), "image");
  preprocess.input = "curve";
  EXPECT_THROW(input_of(preprocess), Error);
  preprocess.input = "audio";  // without its settings
  EXPECT_THROW(input_of(preprocess), Error);
  EXPECT_EQ(io::Preprocess::from_json(preprocess.to_json()), preprocess);
  EXPECT_EQ(pattern_preprocess(8).to_json().find("input"), std::string::npos)
      << "cards of images are as they were";
}

}  // namespace
}  // namespace graft::train
