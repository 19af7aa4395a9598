// Temperature, calibration error and label issues of made-up logits are SciPy's, NumPy's and
// cleanlab's (make_calibration_goldens.py); thresholds and what they leave unanswered; the card.
#include "graft/train/tasks/classification/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/tests/train/tasks/calibration_goldens.h"
#include "graft/train/tasks/classification/classification.h"
#include "graft/train/tasks/classification/noteworthy.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"

namespace graft::train {
namespace {

namespace g = goldens;

JudgedLogits golden_logits() {
  return {.classes = g::kJudgedClasses, .labels = g::kJudgedLabels, .logits = g::kJudgedLogits};
}

// Two classes; the logits give the first class these probabilities.
JudgedLogits two_classes(const std::vector<double>& first, const std::vector<int32_t>& labels) {
  JudgedLogits judged{.classes = 2, .labels = labels};
  for (const double p : first)
    judged.logits.insert(judged.logits.end(), {static_cast<float>(std::log(p / (1 - p))), 0.0f});
  return judged;
}

Evaluation evaluated(const JudgedLogits& judged) {
  Evaluation e(judged.classes);
  const std::vector<int64_t> labels(judged.labels.begin(), judged.labels.end());
  e.add_logits(Tensor::of<float>({judged.samples(), judged.classes}, judged.logits),
               Tensor::of<int64_t>({judged.samples()}, labels));
  return e;
}

TEST(Calibration, TemperatureAndErrorAreGolden) {
  const Temperature found = fit_temperature(golden_logits());
  EXPECT_EQ(found.refusal, "");
  EXPECT_NEAR(found.value, g::kTemperature, 1e-6 * g::kTemperature);
  EXPECT_NEAR(found.loss_before, g::kLossBefore, 1e-12);
  EXPECT_NEAR(found.loss_after, g::kLossAfter, 1e-12);
  EXPECT_NEAR(reliability(golden_logits(), {}).error, g::kErrorBefore, 1e-12);
  EXPECT_NEAR(reliability(golden_logits(), {g::kTemperature}).error, g::kErrorAfter, 1e-12);
}

TEST(Calibration, TemperatureIsFoundWhateverTheLogitsSize) {
  JudgedLogits judged = golden_logits();
  for (float& logit : judged.logits) logit *= 4;
  EXPECT_NEAR(fit_temperature(judged).value, 4 * g::kTemperature, 1e-5);
  for (float& logit : judged.logits) logit /= 16;
  EXPECT_NEAR(fit_temperature(judged).value, g::kTemperature / 4, 1e-5);
  judged.logits[5] = std::numeric_limits<float>::quiet_NaN();  // that sample counts for nothing
  EXPECT_TRUE(std::isfinite(fit_temperature(judged).value));
}

TEST(Calibration, RefusesWhatTellsNoTemperature) {
  const auto refusal = [](const JudgedLogits& judged) {
    const Temperature found = fit_temperature(judged);
    EXPECT_EQ(found.value, 1);
    return found.refusal;
  };
  EXPECT_NE(refusal(two_classes({0.9, 0.2}, {0, 1})).find("answered rightly"), std::string::npos);
  EXPECT_NE(refusal(two_classes({0.9, 0.2}, {1, 0})).find("better than chance"), std::string::npos);
  EXPECT_NE(refusal({.classes = 2}).find("no validation images"), std::string::npos);
}

TEST(Calibration, BinsHoldTheirUpperEdge) {
  // Probabilities 0.5 and 0.7 of four bins: in (0.25, 0.5] and (0.5, 0.75].
  const Reliability found = reliability(two_classes({0.5, 0.7, 0.7}, {0, 0, 1}), {}, 4);
  EXPECT_EQ(found.bins[1].samples, 1);
  EXPECT_EQ(found.bins[2].samples, 2);
  EXPECT_NEAR(found.bins[2].accuracy, 0.5, 1e-12);
  EXPECT_NEAR(found.error, (0.5 + 2 * 0.2) / 3, 1e-6);
}

TEST(Calibration, LabelIssuesAreCleanlabs) {
  std::vector<int64_t> samples;
  for (const LabelIssue& issue : label_issues(golden_logits(), {})) samples.push_back(issue.sample);
  EXPECT_EQ(samples, g::kLabelIssues);
  const Classification task(g::kJudgedClasses);
  const auto kinds = task.presentation()->noteworthy(evaluated(golden_logits()), 100);
  EXPECT_EQ(kinds.back().samples, g::kLabelIssues);
}

TEST(Calibration, ThresholdsOfPrecision) {
  // Of class 0: right, right, wrong, right, wrong; of class 1 one answer, wrong.
  const JudgedLogits judged = two_classes({0.95, 0.9, 0.8, 0.7, 0.6, 0.4}, {0, 0, 1, 0, 1, 0});
  const ClassThresholds found = thresholds_of_precision(judged, {}, 0.75);
  EXPECT_NEAR(found.values[0], 0.65, 1e-6) << "3 of 4 are right";
  EXPECT_EQ(found.values[1], 1);
  EXPECT_EQ(found.missed, (std::vector<int64_t>{1}));
  EXPECT_NEAR(thresholds_of_precision(judged, {}, 1).values[0], 0.85, 1e-6);
  EXPECT_EQ(thresholds_of_precision(judged, {}, 0.6).values[0], 0) << "of all 5 are 3";
  const Answered answered = answered_at(judged, {}, found.values);
  EXPECT_EQ(answered.answered, 4);
  EXPECT_EQ(answered.right, 3);
  EXPECT_NEAR(answered.coverage(), 4.0 / 6, 1e-12);
  EXPECT_NEAR(answered.accuracy(), 0.75, 1e-12);
}

TEST(Calibration, ThresholdsOfRecall) {
  // Class 0 has four samples, of which three are found; of class 1 none of two is.
  const JudgedLogits judged = two_classes({0.95, 0.9, 0.8, 0.7, 0.6, 0.4}, {0, 0, 1, 0, 1, 0});
  const ClassThresholds found = thresholds_of_recall(judged, {}, 0.5);
  EXPECT_NEAR(found.values[0], 0.85, 1e-6);
  EXPECT_EQ(found.values[1], 0);
  EXPECT_EQ(found.missed, (std::vector<int64_t>{1}));
  EXPECT_EQ(thresholds_of_recall(judged, {}, 0.9).missed, (std::vector<int64_t>{0, 1}));
  EXPECT_TRUE(std::isnan(answered_at(judged, {}, {1, 1}).accuracy()));
}

TEST(Calibration, LargePartsAreThinnedOut) {
  constexpr int64_t kSamples = 3000, kClasses = 1000;
  Evaluation e(kClasses);
  const Tensor logits = Tensor::zeros({500, kClasses});
  for (int64_t batch = 0; batch < kSamples / 500; ++batch) {
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < 500; ++i) labels.push_back((batch * 500 + i) % kClasses);
    e.add_logits(logits, Tensor::of<int64_t>({500}, labels));
  }
  EXPECT_EQ(e.logits().every, 2);
  ASSERT_EQ(e.logits().samples(), kSamples / 2);
  for (int64_t i = 0; i < kSamples / 2; ++i)
    ASSERT_EQ(e.logits().labels[static_cast<size_t>(i)], 2 * i % kClasses) << i;
}

TEST(Calibration, TheCardKeepsItAndAnswersHaveIt) {
  Classification task(4, {.names = {"a", "b", "c", "d"}});
  task.choose_thresholds(0.9, 0);
  const Evaluation validation = evaluated(golden_logits());
  const TaskCard card = task.chosen_by(validation)->card();
  const auto j = nlohmann::json::parse(card.json);
  EXPECT_EQ(j["name"], "classify");
  EXPECT_NEAR(j["temperature"].get<double>(), g::kTemperature, 1e-6);
  EXPECT_EQ(j["thresholds"].size(), 4u);
  const auto read = task_of_card(card);
  EXPECT_EQ(read->card().json, card.json);
  EXPECT_EQ(Classification(4).card().json, "") << "as before there was a choice";
  EXPECT_TRUE(Classification(4, {.names = card.names}).take_head_of(card));

  const auto shown = read->presentation();
  const Tensor answers = shown->readable(Tensor::of<float>({1, 4}, {2, 0, 0, 0}));
  const double e = std::exp(2 / g::kTemperature);
  EXPECT_NEAR(answers.data<float>()[0], e / (e + 3), 1e-6);
  const auto told = nlohmann::json::parse(shown->json(validation));
  EXPECT_NEAR(told["calibration"]["expected_calibration_error"].get<double>(), g::kErrorAfter,
              1e-6);
  EXPECT_NEAR(told["calibration"]["expected_calibration_error_at_temperature_1"].get<double>(),
              g::kErrorBefore, 1e-12);
  EXPECT_EQ(told["calibration"]["bins"].size(), 15u);
  EXPECT_EQ(told["answered"]["of"], g::kJudged);
  EXPECT_NE(shown->html(validation, nullptr, "").find("As answered: error"), std::string::npos);
  EXPECT_EQ(shown->suspects(validation).empty(), false);
  ASSERT_EQ(task.choices(validation).size(), 2u);
  EXPECT_NE(task.choices(validation)[0].find("temperature"), std::string::npos);
}

TEST(Calibration, BelowTheLeastConfidenceTheAnswerIsDontKnow) {
  const auto task = Classification(2, {.names = {"cat", "dog"}}).answering_from(0.7);
  const auto shown = task->presentation();
  const std::vector<float> unsure = {0.6f, 0.4f}, sure = {0.2f, 0.8f};
  EXPECT_EQ(shown->answer_text(unsure, 1), "don't know (cat 0.6000)");
  EXPECT_EQ(shown->answer_text(sure, 1), "dog 0.8000");
  EXPECT_EQ(nlohmann::json::parse(shown->answer_json(unsure, 1))["answered"], false);
  EXPECT_EQ(nlohmann::json::parse(shown->answer_json(sure, 1))["answered"], true);
  EXPECT_TRUE(shown->said(unsure, 2).empty());
  EXPECT_EQ(shown->said(sure, 2).size(), 2u);
  EXPECT_EQ(shown->answer_cells(unsure), (std::vector<AnswerCell>{std::string()}));
  EXPECT_EQ(shown->thresholds(), (std::vector<double>{0.7, 0.7}));
}

TEST(Calibration, HostileCards) {
  const auto refused = [](const std::string& json) {
    try {
      task_of_card({.json = json, .outputs = 2});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  for (const char* temperature : {"0", "-1", "1e9", "\"hot\"", "null"})
    EXPECT_NE(refused(str("{\"name\":\"classify\",\"temperature\":", temperature, "}"))
                  .find("temperature is not between"),
              std::string::npos)
        << temperature;
  EXPECT_NE(refused("{\"name\":\"classify\",\"thresholds\":[0.5]}").find("one for each of 2"),
            std::string::npos);
  EXPECT_NE(refused("{\"name\":\"classify\",\"thresholds\":[0.5,2]}").find("between 0 and 1"),
            std::string::npos);
}

}  // namespace
}  // namespace graft::train
