// Grad-CAM equals PyTorch's on the carried ResNet-20 (make_grad_cam_goldens.py), leaves the network
// as it was, and refuses what it cannot answer.
#include "graft/train/grad_cam.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/base/error.h"
#include "graft/models/import.h"
#include "graft/tests/support/command.h"
#include "graft/tests/train/grad_cam_goldens.h"

namespace graft::train {
namespace {

Tensor made_up_images() {
  std::vector<float> values(2 * 3 * 32 * 32);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(1.5 * std::sin(0.1 * (static_cast<double>(i) + 1)));
  return Tensor::of<float>({2, 3, 32, 32}, values);
}

constexpr std::array<int64_t, 2> kAsked = {3, 7};

class GradCam : public testing::Test {
 protected:
  void expect_refused(const Tensor& x, std::span<const int64_t> outputs, const std::string& at,
                      const std::string& words) {
    try {
      grad_cam(network(), x, outputs, at);
      ADD_FAILURE() << "accepted " << at;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
  StagedNetwork& network() { return *model_.network; }

 private:
  models::Model model_ = models::import_weights(carried_weights()).model;
};

TEST_F(GradCam, IsPyTorchs) {
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const Tensor x = made_up_images().to(format);
    const Tensor last = grad_cam(network(), x, kAsked);
    ASSERT_EQ(last.shape(), Shape({2, 8, 8}));
    for (size_t i = 0; i < goldens::kCamLayer3.size(); ++i)
      EXPECT_NEAR(last.data<float>()[i], goldens::kCamLayer3[i], 1e-4) << i;
    const Tensor within = grad_cam(network(), x, kAsked, "layer2.1.conv2");
    ASSERT_EQ(within.shape(), Shape({2, 16, 16}));
    for (int64_t n = 0, i = 0; n < 2; ++n)
      for (int64_t row = 0; row < 16; row += 2)
        for (int64_t column = 0; column < 16; column += 2, ++i)
          EXPECT_NEAR(within.data<float>()[(n * 16 + row) * 16 + column],
                      goldens::kCamLayer2Conv[static_cast<size_t>(i)], 1e-4)
              << i;
  }
}

TEST_F(GradCam, LeavesParametersAsTheyWere) {
  EXPECT_EQ(last_map_stage(network(), made_up_images()), "layer3");
  grad_cam(network(), made_up_images(), kAsked, "layer1");
  for (const NamedTensor& parameter : network().parameters()) {
    EXPECT_TRUE(requires_grad(parameter.tensor)) << parameter.name;
    EXPECT_FALSE(grad_of(parameter.tensor).defined()) << parameter.name;
  }
}

TEST_F(GradCam, RefusesWhatItCannotAnswer) {
  const Tensor x = made_up_images();
  expect_refused(x, kAsked, "layer9", "no stage or module 'layer9'");
  expect_refused(x, kAsked, "pool", "no map of several places");
  expect_refused(x, kAsked, "linear", "no map of several places");
  expect_refused(x, std::array<int64_t, 2>{0, 10}, "", "output 10 of 10");
  expect_refused(x, std::array<int64_t, 1>{0}, "", "1 outputs for images [2,3,32,32]");
}

}  // namespace
}  // namespace graft::train
