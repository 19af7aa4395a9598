// Features of several cuts in one pass are those of each cut alone.
#include "graft/train/stage_features.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/base/error.h"
#include "graft/models/initialization.h"
#include "graft/models/resnet.h"
#include "graft/tests/train/pattern_dataset.h"
#include "graft/train/features.h"

namespace graft::train {
namespace {

class StagesOfResNet : public testing::Test {
 protected:
  void SetUp() override {
    models::ResNetConfig config = models::resnet_config("resnet18");
    config.depths = {1, 1, 1, 1};  // small, for the test's time
    config.stages = 3;
    config.classes = 5;
    network = std::make_unique<models::ResNet>(config);
    models::initialize(*network, 4);
    network->train(false);
    preprocess = io::imagenet_preprocess(64);
  }
  BatchLoader loader(int64_t batch = 3) const {
    return BatchLoader(std::make_shared<PatternDataset>(7, 3, 64), preprocess, {.batch = batch});
  }
  std::unique_ptr<models::ResNet> network;
  io::Preprocess preprocess;
};

TEST_F(StagesOfResNet, EndsAreTheLastMapsOfEachSize) {
  // stem and layer1 give maps of one size
  EXPECT_EQ(ends_of_maps(*network, preprocess.zeros(1)), (std::vector<size_t>{2, 3, 4}));
}

TEST_F(StagesOfResNet, OnePassGivesEveryCut) {
  BatchLoader images = loader();
  int64_t heard = 0;
  const StageFeatures got = extract_stage_features(*network, images, {{2, 4, 5}, 6},
                                                   [&](int64_t done, int64_t) { heard = done; });
  EXPECT_EQ(heard, 7);
  ASSERT_EQ(got.features.size(), 3u);
  EXPECT_EQ(got.features[0].shape(), (Shape{7, 64}));
  EXPECT_EQ(got.features[1].shape(), (Shape{7, 256}));
  EXPECT_EQ(got.answers.shape(), (Shape{7, 5}));
  BatchLoader again = loader(7);
  PrefixRunner prefix(*network, 5);
  const std::vector<double> whole = extract_features(prefix, again).features.to_doubles(),
                            mine = got.features[2].to_doubles(),
                            pooled = got.features[1].to_doubles();
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(mine[i], whole[i], 1e-4 * std::max(1.0, std::abs(whole[i]))) << i;
    EXPECT_NEAR(pooled[i], mine[i], 1e-4 * std::max(1.0, std::abs(mine[i]))) << i;
  }
}

TEST_F(StagesOfResNet, PlansThatDoNotFitAreRefused) {
  BatchLoader images = loader();
  for (const StagePlan& plan : {StagePlan{}, StagePlan{{3, 2}}, StagePlan{{9}}, StagePlan{{5}, 3}})
    EXPECT_THROW((void)extract_stage_features(*network, images, plan), Error);
  EXPECT_THROW((void)pooled_features(Tensor::zeros({3})), Error);
}

}  // namespace
}  // namespace graft::train
