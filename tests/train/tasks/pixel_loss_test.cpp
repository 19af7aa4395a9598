// Losses of maps: against PyTorch's values (tests/data/train/make_pixel_losses.py), and their
// gradients against finite differences.
#include "graft/train/tasks/segmentation/pixel_loss.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/io/datasets/dataset.h"

namespace graft::train {
namespace {

Tensor logits_of(const Shape& shape) {
  std::vector<double> values;
  for (int64_t n = 0; n < shape.numel(); ++n)
    values.push_back(static_cast<double>((n * 7 + 3) % 11 - 5) * 0.4);
  return Tensor::of<double>(shape, values);
}

Tensor masks_of(const Shape& shape, int64_t classes) {
  std::vector<uint8_t> values;
  for (int64_t n = 0; n < shape.numel(); ++n)
    values.push_back(n % 7 == 3 ? io::kIgnoredPixel : static_cast<uint8_t>((n * 5 + 2) % classes));
  return Tensor::of<uint8_t>(shape, values);
}

struct Golden {
  int64_t classes;
  const char* name;
  double loss, first, sixth;  // the gradient's
};
constexpr Golden kGoldens[] = {
    {2, "ce", 0.838546234, 0.007750638, -0.050000000},
    {2, "dice", 0.397702735, 0.005554367, -0.016468358},
    {2, "focal", 0.385214532, 0.001975482, -0.029828680},
    {3, "ce", 2.822485638, 0.003611888, -0.019471489},
    {3, "dice", 0.751157542, 0.000381374, -0.007079283},
    {3, "focal", 2.186914511, 0.004328095, -0.021933072},
};

std::vector<double> weights_of(int64_t classes) {
  return classes == 2 ? std::vector<double>{0.5, 2} : std::vector<double>{0.5, 2, 1.5};
}

TEST(PixelLoss, EqualsPyTorch) {
  for (const Golden& golden : kGoldens) {
    const PixelLoss loss(golden.name, golden.classes, weights_of(golden.classes));
    const Tensor x = logits_of({2, golden.classes == 2 ? 1 : golden.classes, 3, 4});
    set_requires_grad(x, true);
    const Tensor y = loss.mean(x, masks_of({2, 3, 4}, golden.classes));
    EXPECT_NEAR(y.item(), golden.loss, 1e-8) << golden.classes << golden.name;
    backward(y);
    const std::vector<double> dx = grad_of(x).to_doubles();
    EXPECT_NEAR(dx[0], golden.first, 1e-8) << golden.classes << golden.name;
    EXPECT_NEAR(dx[5], golden.sixth, 1e-8) << golden.classes << golden.name;
  }
}

TEST(PixelLoss, HasTheGradientOfFiniteDifferences) {
  for (const int64_t classes : {2, 3})
    for (const char* name : {"ce", "dice", "ce+dice", "focal"}) {
      const PixelLoss loss(name, classes, weights_of(classes));
      const Tensor masks = masks_of({2, 3, 4}, classes);
      Tensor x = logits_of({2, classes == 2 ? 1 : classes, 3, 4});
      set_requires_grad(x, true);
      backward(loss.mean(x, masks));
      const std::vector<double> dx = grad_of(x).to_doubles();
      const NoGradGuard no_grad;
      const std::vector<double> at = x.to_doubles();
      for (const size_t i : {0u, 3u, 5u, 14u, 23u}) {
        constexpr double h = 1e-5;
        const auto moved = [&](double by) {
          std::vector<double> values = at;
          values[i] += by;
          return loss.mean(Tensor::of<double>(x.shape(), values), masks).item();
        };
        EXPECT_NEAR(dx[i], (moved(h) - moved(-h)) / (2 * h), 1e-8) << classes << name << i;
      }
    }
}

TEST(PixelLoss, IsTheMeanOfItsSamplesInEveryLayout) {
  for (const int64_t classes : {2, 3}) {
    const PixelLoss loss("ce+dice", classes, {});
    const Tensor x = logits_of({2, classes == 2 ? 1 : classes, 3, 4}),
                 masks = masks_of({2, 3, 4}, classes);
    const std::vector<double> each = loss.of_samples(x, masks).to_doubles();
    ASSERT_EQ(each.size(), 2u);
    EXPECT_NEAR(loss.mean(x, masks).item(), (each[0] + each[1]) / 2, 1e-12);
    EXPECT_NEAR(loss.mean(x.to(MemoryFormat::channels_last), masks).item(), (each[0] + each[1]) / 2,
                1e-12);
  }
}

TEST(PixelLoss, OfASampleWithoutPixelsIsNothing) {
  for (const int64_t classes : {2, 3})
    for (const char* name : {"ce", "dice", "ce+dice", "focal"}) {
      const PixelLoss loss(name, classes, {});
      const Tensor x = logits_of({1, classes == 2 ? 1 : classes, 2, 2});
      set_requires_grad(x, true);
      const Tensor y =
          loss.mean(x, Tensor::full({1, 2, 2}, io::kIgnoredPixel, {.dtype = DType::u8}));
      EXPECT_NEAR(y.item(), 0, 1e-12) << name;
      backward(y);
      for (const double slope : grad_of(x).to_doubles()) EXPECT_EQ(slope, 0);
    }
}

TEST(PixelLoss, RefusesWhatDoesNotFit) {
  EXPECT_THROW(PixelLoss("mse", 2, {}), Error);
  EXPECT_THROW(PixelLoss("ce", 3, {1, 2}), Error);
  const PixelLoss loss("ce", 2, {});
  EXPECT_THROW(loss.mean(logits_of({1, 2, 2, 2}), masks_of({1, 2, 2}, 2)), Error);
  EXPECT_THROW(loss.mean(logits_of({1, 1, 2, 2}), masks_of({1, 2, 3}, 2)), Error);
}

}  // namespace
}  // namespace graft::train
