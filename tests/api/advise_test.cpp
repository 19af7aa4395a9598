// advise(): what is measured, and what conclude() makes of it in order and in words.
#include "graft/api/advise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"
#include "graft/core/runtime/stop.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

AdvisedFeatures measured_as(const std::string& weights, int64_t right, int64_t images,
                            int64_t parameters = 1000) {
  AdvisedFeatures f;
  f.weights = weights;
  f.what = weights.empty() ? "raw pixels, 28x28 grey" : "resnet18, 64 features";
  f.features = 64;
  f.parameters = parameters;
  f.probe.share = static_cast<double>(right) / static_cast<double>(images);
  f.probe.interval = train::wilson_interval(right, images);
  f.probe.is_right.assign(static_cast<size_t>(images), 0);
  std::fill_n(f.probe.is_right.begin(), right, 1);
  return f;
}

bool says(const Advice& advice, const std::string& words) {
  return std::any_of(advice.sentences.begin(), advice.sentences.end(),
                     [&](const std::string& s) { return s.find(words) != std::string::npos; });
}

TEST(Conclusion, ASureChoiceThatPays) {
  Advice advice;
  advice.candidates = {measured_as("large.npz", 600, 1000, 9000),
                       measured_as("small.npz", 900, 1000)};
  advice.candidates[1].cut = "layer3";
  advice.baselines = {measured_as("", 500, 1000)};
  conclude(advice);
  EXPECT_EQ(advice.candidates[0].weights, "small.npz");
  EXPECT_TRUE(advice.is_sure);
  EXPECT_EQ(advice.transfer, Advice::Transfer::pays);
  EXPECT_EQ(advice.by_size, (std::vector<std::string>{"large.npz", "small.npz"}));
  EXPECT_EQ(advice.flags, (std::vector<std::string>{"--weights", "small.npz", "--cut", "layer3"}));
  for (const char* words :
       {"Choice: small.npz cut after layer3", "0.900 (95 %: 0.880 to 0.917)", "The choice is sure",
        "Transfer pays",
        "By size alone, most parameters first: large.npz, small.npz; the first is "
        "another one"})
    EXPECT_TRUE(says(advice, words)) << words;
}

TEST(Conclusion, OverlappingIntervalsAreNotSure) {
  Advice advice;
  advice.candidates = {measured_as("a.npz", 80, 100), measured_as("b.npz", 84, 100)};
  advice.baselines = {measured_as("", 78, 100)};
  conclude(advice);
  EXPECT_EQ(advice.candidates[0].weights, "b.npz");
  EXPECT_FALSE(advice.is_sure);
  EXPECT_EQ(advice.transfer, Advice::Transfer::not_sure);
  EXPECT_TRUE(says(advice,
                   "The choice is not sure: the intervals overlap with a.npz. Of 100 images "
                   "4 are right with the first and not with the next, 0 the other way."));
  EXPECT_TRUE(says(advice, "Whether transfer pays is not sure"));
}

// The known case: a frozen CIFAR ResNet-20 on Fashion-MNIST is below raw pixels.
TEST(Conclusion, WhereRawPixelsWinTransferDoesNotPay) {
  Advice advice;
  advice.candidates = {measured_as("cifar.npz", 774, 1000)};
  advice.baselines = {measured_as("", 844, 1000)};
  conclude(advice);
  EXPECT_EQ(advice.transfer, Advice::Transfer::does_not_pay);
  EXPECT_TRUE(says(advice, "Transfer of frozen features does not pay: raw pixels"));
  EXPECT_EQ(advice.flags, (std::vector<std::string>{"--weights", "cifar.npz", "--freeze", "none"}));
}

TEST(Conclusion, OfEqualScoresTheSmallerNetwork) {
  Advice advice;
  advice.candidates = {measured_as("a.npz", 9, 10, 5000), measured_as("b.npz", 9, 10, 50)};
  conclude(advice);
  EXPECT_EQ(advice.candidates[0].weights, "b.npz");
  EXPECT_TRUE(says(advice, "was not measured"));
  Advice nothing;
  EXPECT_THROW(conclude(nothing), Error);
}

class Advising : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"red", "green", "blue"}, 10, 24); }
  TemporaryFolder folder;
};

TEST_F(Advising, MeasuresWeightsAndBaselines) {
  AdviseOptions options;
  std::string phases;
  options.progress = [&](const std::string& what, int64_t, int64_t) { phases += what + "\n"; };
  const Advice advice = advise({carried_weights(), carried_weights()}, folder / "photos", options);
  EXPECT_EQ(advice.images, 24) << "the training part alone";
  EXPECT_EQ(advice.classes, 3);
  ASSERT_EQ(advice.candidates.size(), 1u) << "a file that is named twice is measured once";
  const AdvisedFeatures& found = advice.candidates[0];
  EXPECT_EQ(found.features, 64);
  EXPECT_EQ(found.cut, "auto");
  EXPECT_GE(found.probe.share, 0.9);
  EXPECT_TRUE(std::isfinite(found.log_evidence));
  EXPECT_GT(found.separation, 0);
  EXPECT_GT(found.neighbors, 0.5);
  EXPECT_LE(found.expected_prediction, 0) << "the file has a head of its own";
  ASSERT_EQ(advice.baselines.size(), 2u);
  EXPECT_NE(phases.find("raw pixels"), std::string::npos);
  EXPECT_NE(phases.find("random weights"), std::string::npos);
  const Advice again = advise({carried_weights()}, folder / "photos");
  EXPECT_EQ(again.candidates[0].probe.is_right, found.probe.is_right);
  EXPECT_EQ(again.candidates[0].log_evidence, found.log_evidence);
}

TEST_F(Advising, RefusesAndStops) {
  const auto code_of = [&](const std::vector<std::string>& weights, const std::string& data,
                           const AdviseOptions& options = {}) {
    try {
      (void)advise(weights, data, options);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  };
  EXPECT_EQ(code_of({}, folder / "photos"), ErrorCode::bad_input);
  EXPECT_EQ(code_of({folder / "none.npz"}, folder / "photos"), ErrorCode::bad_input);
  write_photos(folder / "one", {"red"}, 6, 24);
  EXPECT_EQ(code_of({carried_weights()}, folder / "one"), ErrorCode::bad_input);
  AdviseOptions options;
  options.budget_seconds = 1e-9;
  EXPECT_EQ(code_of({carried_weights()}, folder / "photos", options), ErrorCode::internal)
      << "one batch is done when it is known";
  const std::atomic<bool> stop = true;
  options.stop = &stop;
  EXPECT_EQ(code_of({carried_weights()}, folder / "photos", options), ErrorCode::stopped);
}

}  // namespace
}  // namespace graft
