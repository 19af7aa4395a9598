// What layers start with, and which training of them is refused.
#include "graft/layers/modules/default_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/linear.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/models/architecture.h"
#include "graft/models/folded_norms.h"

namespace graft {
namespace {

void expect_uniform(const Tensor& t, double bound) {
  const auto values = t.to_doubles();
  double sum = 0, squares = 0;
  for (const double v : values) {
    EXPECT_LE(std::abs(v), bound);
    sum += v, squares += v * v;
  }
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 4 * bound / std::sqrt(3 * n));
  EXPECT_NEAR(squares / n, bound * bound / 3, bound * bound / std::sqrt(n));
}

TEST(DefaultValues, AreKaimingUniform) {
  set_default_seed(0);
  const Linear linear(100, 50);
  expect_uniform(linear.weight(), 0.1);
  expect_uniform(linear.bias(), 0.1);
  const Conv2d conv(
      {.in_channels = 32, .out_channels = 24, .kernel = 3, .groups = 2, .bias = true});
  expect_uniform(conv.weight(), 1 / 12.0);
  expect_uniform(conv.bias(), 1 / 12.0);
}

TEST(DefaultValues, DifferByLayerAndFollowTheSeed) {
  set_default_seed(5);
  const Linear a(4, 4), b(4, 4);
  EXPECT_NE(a.weight().to_doubles(), b.weight().to_doubles());
  set_default_seed(5);
  EXPECT_EQ(Linear(4, 4).weight().to_doubles(), a.weight().to_doubles());
  EXPECT_EQ(Linear(4, 4).weight().to_doubles(), b.weight().to_doubles());
  set_default_seed(6);
  EXPECT_NE(Linear(4, 4).weight().to_doubles(), a.weight().to_doubles());
  set_default_seed(0);
}

TEST(DefaultValues, StayAtZeroForAFilesSake) {
  const auto is_zero = [](const Linear& layer) {
    const auto values = layer.weight().to_doubles();
    return std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
  };
  {
    const ScopedUnsetValues unset;
    { const ScopedUnsetValues inner; }
    EXPECT_TRUE(is_zero(Linear(3, 3)));
  }
  EXPECT_FALSE(is_zero(Linear(3, 3)));
}

TEST(DefaultValues, NetworksMadeByNameLearnAtOnce) {
  const auto network = models::make_network(models::architecture_named("cifar_resnet20"));
  const Tensor x = Tensor::full({2, 3, 8, 8}, 0.5);
  backward(functional::cross_entropy(network->forward(x), Tensor::of<int64_t>({2}, {0, 1})));
  double norm = 0;
  for (const auto& [name, tensor] : network->parameters())
    if (name == "layer3.2.conv2.weight" || name == "linear.weight")
      for (const double g : grad_of(tensor).to_doubles()) norm += g * g;
  EXPECT_GT(norm, 0);
}

// A norm without statistics of its own trains only after it was given some.
TEST(NeutralNorms, AreNotTrainedByABatch) {
  BatchNorm2d norm({.channels = 2});
  norm.set_statistics(Tensor::zeros({2}), Tensor::full({2}, 1 - 1e-5));
  norm.mark_neutral();
  const Tensor x = Tensor::of<float>({2, 2, 1, 1}, {1, 2, 3, 5});
  try {
    norm.forward(x);
    FAIL() << "it trained";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("take_statistics"), std::string::npos);
  }
  norm.train(false);
  norm.forward(x);
  norm.watch_inputs();
  norm.forward(x);
  norm.adopt_watched_statistics();
  norm.train();
  norm.forward(x);
}

TEST(NeutralNorms, FixedStatisticsAreNoBatchs) {
  BatchNorm2d norm({.channels = 1});
  norm.set_statistics(Tensor::zeros({1}), Tensor::full({1}, 1 - 1e-5));
  norm.mark_neutral();
  norm.fix_statistics(true);
  norm.forward(Tensor::full({2, 1, 1, 1}, 3));
}

TEST(NeutralNorms, StatisticsFromAFileEndIt) {
  BatchNorm2d norm({.channels = 1});
  norm.set_statistics(Tensor::zeros({1}), Tensor::full({1}, 1 - 1e-5));
  norm.mark_neutral();
  norm.set_statistics(Tensor::full({1}, 0.5), Tensor::full({1}, 2));
  norm.forward(Tensor::of<float>({2, 1, 1, 1}, {1, 2}));
}

}  // namespace
}  // namespace graft
