// Scores of transferability are NumPy's, SciPy's and scikit-learn's of the same features
// (tests/data/train/make_transferability.py), and what has no answer is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/command.h"
#include "graft/train/tasks/classification/transferability/class_separation.h"
#include "graft/train/tasks/classification/transferability/expected_prediction.h"
#include "graft/train/tasks/classification/transferability/linear_probe.h"
#include "graft/train/tasks/classification/transferability/log_evidence.h"
#include "graft/train/tasks/classification/transferability/logistic_regression.h"
#include "graft/train/tasks/classification/transferability/neighbors.h"

namespace graft::train {
namespace {

std::vector<int64_t> whole_numbers(const Tensor& tensor) {
  std::vector<int64_t> numbers;
  for (const double value : tensor.to_doubles()) numbers.push_back(std::llround(value));
  return numbers;
}

class Transferability : public testing::TestWithParam<const char*> {
 protected:
  static Tensor golden(const std::string& name) {
    static const StateDict tensors =
        io::read_weights(GRAFT_TEST_DATA "/train/transferability.npz").tensors;
    return tensors.at(std::string(GetParam()) + "." + name);
  }
  static double number(const std::string& name, size_t at = 0) {
    return golden(name).to_doubles().at(at);
  }
  static ClassedFeatures features() {
    return classed_features(golden("x"), whole_numbers(golden("y")));
  }
};

TEST_P(Transferability, EvidenceIsTheHighestThereIs) {
  EXPECT_NEAR(log_evidence(features()), number("log_evidence"), 1e-6);
}

TEST_P(Transferability, SeparationOfClassMeans) {
  const SeparationScore score = class_separation(features());
  EXPECT_NEAR(score.score, number("h_score"), 1e-6);
  EXPECT_NEAR(score.shrinkage, number("shrinkage"), 1e-6);
}

TEST_P(Transferability, ExpectedPrediction) {
  EXPECT_NEAR(expected_prediction(golden("p"), whole_numbers(golden("y"))), number("leep"), 1e-6);
}

TEST_P(Transferability, NearestNeighbors) {
  EXPECT_NEAR(neighbor_accuracy(features(), 1), number("neighbors", 0), 1e-12);
  EXPECT_NEAR(neighbor_accuracy(features(), 5), number("neighbors", 1), 1e-12);
}

TEST_P(Transferability, RegressionEndsWhereScikitLearnsDoes) {
  const LogisticModel model =
      fit_logistic(features(), {.strength = 0.05, .tolerance = 1e-10, .most_iterations = 2000});
  const std::vector<double> weight = golden("weight").to_doubles(),
                            bias = golden("bias").to_doubles();
  ASSERT_EQ(model.weight.size(), weight.size());
  for (size_t i = 0; i < weight.size(); ++i) EXPECT_NEAR(model.weight[i], weight[i], 1e-6) << i;
  for (size_t c = 0; c < bias.size(); ++c)  // all may be shifted alike
    EXPECT_NEAR(model.bias[c] - model.bias[0], bias[c] - bias[0], 1e-6) << c;
}

TEST_P(Transferability, ProbeIsRightOnTheSameSamples) {
  const ClassedFeatures given = features();
  EXPECT_EQ(stratified_folds(given.labels, given.classes, 5), whole_numbers(golden("fold")));
  const ProbeScore score = probe(given, {.tolerance = 1e-7, .most_iterations = 1000});
  const std::vector<int64_t> expected = whole_numbers(golden("right"));
  EXPECT_EQ(std::vector<int64_t>(score.is_right.begin(), score.is_right.end()), expected);
  EXPECT_EQ(score.of_folds.size(), 5u);
  EXPECT_LT(score.interval.low, score.share);
  EXPECT_GT(score.interval.high, score.share);
  ExecContext three(3);
  const ScopedExecContext scope(three);
  EXPECT_EQ(probe(given).is_right, probe(given).is_right) << "threads change nothing";
}

INSTANTIATE_TEST_SUITE_P(Cases, Transferability, testing::Values("tall", "wide", "low_rank"));

// Reference values made elsewhere, where they are beside the source tree.
TEST(TransferabilityReference, OfTheSharedGoldens) {
  const std::string folder = GRAFT_SOURCE_DIR "/../shared/data/goldens/";
  if (!std::filesystem::exists(folder + "transferability.npz"))
    GTEST_SKIP() << "there is no " << folder;
  const StateDict tensors = io::read_weights(folder + "transferability.npz").tensors;
  const auto all = nlohmann::json::parse(read_text(folder + "transferability.json"));
  for (const std::string name : {"tall", "wide", "lowrank"}) {
    SCOPED_TRACE(name);
    const auto& expected = all.at(name);
    const std::vector<int64_t> labels = whole_numbers(tensors.at(name + "_y"));
    const ClassedFeatures features = classed_features(tensors.at(name + "_F"), labels);
    EXPECT_NEAR(log_evidence(features), expected.at("logme_brute").get<double>(), 1e-6);
    const SeparationScore separation = class_separation(features);
    EXPECT_NEAR(separation.score, expected.at("hscore_lw").get<double>(), 1e-6);
    EXPECT_NEAR(separation.shrinkage, expected.at("lw_shrinkage").get<double>(), 1e-6);
    EXPECT_NEAR(expected_prediction(tensors.at(name + "_P"), labels),
                expected.at("leep").get<double>(), 1e-6);
    EXPECT_NEAR(neighbor_accuracy(features, 1), expected.at("knn1").get<double>(), 1e-12);
    EXPECT_NEAR(neighbor_accuracy(features, 5), expected.at("knn5").get<double>(), 1e-12);
  }
}

std::string refusal_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "nothing was refused";
}

TEST(TransferabilityInput, LabelsAreCompacted) {
  const Tensor x = Tensor::of<float>({4, 1}, {0, 1, 2, 3});
  const ClassedFeatures features = classed_features(x, {70, -3, 70, 12});
  EXPECT_EQ(features.labels, (std::vector<int64_t>{2, 0, 2, 1}));
  EXPECT_EQ(features.classes, 3);
}

TEST(TransferabilityInput, WhatHasNoAnswerIsRefused) {
  const Tensor x = Tensor::of<float>({4, 1}, {0, 1, 2, 3});
  EXPECT_NE(refusal_of([&] {
              (void)classed_features(x, {5, 5, 5, 5});
            }).find("of one class"),
            std::string::npos);
  EXPECT_NE(refusal_of([&] {
              (void)classed_features(x, {1, 2});
            }).find("2 labels for 4"),
            std::string::npos);
  ClassedFeatures empty = classed_features(x, {0, 1, 0, 1});
  empty.classes = 3;
  for (const auto& score : std::vector<std::function<void()>>{
           [&] { (void)log_evidence(empty); }, [&] { (void)class_separation(empty); },
           [&] { (void)neighbor_accuracy(empty); }, [&] { (void)probe(empty); }})
    EXPECT_NE(refusal_of(score).find("class 2 has no sample"), std::string::npos);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(refusal_of([&] {
              (void)classed_features(Tensor::of<float>({2, 2}, {0, 1, nan, 3}), {0, 1});
            }).find("feature 0 of sample 1 is no finite number"),
            std::string::npos);
  EXPECT_NE(refusal_of([&] {
              (void)probe(classed_features(x, {0, 1, 2, 3}));
            }).find("too few"),
            std::string::npos);
  EXPECT_NE(refusal_of([&] {
              (void)expected_prediction(Tensor::of<float>({2, 2}, {-1, 2, 0, 1}), {0, 1});
            }).find("no probability"),
            std::string::npos);
}

TEST(TransferabilityInput, AClassOfOneSampleIsNeverRight) {
  const Tensor x = Tensor::of<float>({7, 1}, {0, 0.1F, 0.2F, 5, 5.1F, 5.2F, 2.6F});
  const ProbeScore score = probe(classed_features(x, {0, 0, 0, 1, 1, 1, 2}));
  EXPECT_EQ(score.is_right, (std::vector<uint8_t>{1, 1, 1, 1, 1, 1, 0}));
}

TEST(TransferabilityInput, FeaturesThatAreAllAlikeTellNothing) {
  const ClassedFeatures same =
      classed_features(Tensor::of<float>({6, 2}, std::vector<float>(12, 3)), {0, 1, 0, 1, 0, 1});
  EXPECT_EQ(class_separation(same).score, 0);
  EXPECT_TRUE(std::isfinite(log_evidence(same)));
  EXPECT_LE(probe(same).share, 0.5);
}

}  // namespace
}  // namespace graft::train
