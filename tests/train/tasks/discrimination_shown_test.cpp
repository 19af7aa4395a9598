// AUC and its like in a classifier's text, JSON and report.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/train/tasks/classification/classification.h"
#include "graft/train/tasks/presentation.h"

namespace graft::train {
namespace {

TEST(ShownDiscrimination, StandsInTextJsonAndReport) {
  const Classification task(2, {.names = {"sick", "well"}});
  const auto metric = task.metric();
  metric->add(Tensor::of({4, 2}, std::vector<float>{3, 0, 1, 0, 0, 2, 0, 1}),
              Tensor::of({4}, std::vector<int64_t>{0, 0, 1, 1}));
  const auto shown = task.presentation();
  EXPECT_TRUE(shown->score_with({{"p", "q", "p", "q"}, 0.75}));
  const std::string text = shown->text(*metric);
  EXPECT_NE(text.find("AUC 1.0000 (1.0000 to 1.0000), balanced accuracy 1.0000"), std::string::npos)
      << text;
  EXPECT_NE(text.find("1,000 draws of 2 groups"), std::string::npos) << text;
  EXPECT_NE(text.find("sensitivity at specificity 0.75"), std::string::npos) << text;
  const auto j = nlohmann::json::parse(shown->json(*metric))["discrimination"];
  EXPECT_EQ(j["auc"]["value"], 1.0);
  EXPECT_EQ(j["groups"], 2);
  EXPECT_EQ(j["classes"][0]["label"], "sick");
  EXPECT_NEAR(j["classes"][0]["threshold"].get<double>(), 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NE(shown->html(*metric, nullptr, "").find("<h2>Discrimination"), std::string::npos);

  EXPECT_TRUE(shown->score_with({}));
  EXPECT_NE(shown->text(*metric).find("1,000 draws of the images"), std::string::npos);
}

TEST(ShownDiscrimination, WhyItIsNotKnownIsSaid) {
  const Classification task(2, {.names = {"a", "b"}});
  const auto metric = task.metric();
  metric->add(Tensor::of({2, 2}, std::vector<float>{3, NAN, 1, 0}),
              Tensor::of({2}, std::vector<int64_t>{0, 1}));
  EXPECT_NE(task.presentation()->text(*metric).find("because answers are not finite"),
            std::string::npos);
}

}  // namespace
}  // namespace graft::train
