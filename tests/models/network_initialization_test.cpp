// Starting values: statistics, and that they are a function of the seed and the path alone.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/models/cifar_resnet.h"
#include "graft/models/initialization.h"
#include "graft/models/resnet.h"

namespace graft::models {
namespace {

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};

Moments moments_of(const Tensor& t) {
  Moments m;
  const std::vector<double> values = t.to_doubles();
  const auto n = static_cast<double>(values.size());
  for (const double v : values) m.mean += v / n, m.largest = std::max(m.largest, std::abs(v));
  for (const double v : values) m.deviation += (v - m.mean) * (v - m.mean) / n;
  m.deviation = std::sqrt(m.deviation);
  return m;
}

// He et al. 2015, fan out: deviation sqrt(2 / (K R S)). The bounds are five deviations of the
// estimates.
TEST(Initialization, HeFanOutForEveryConvolution) {
  ResNet network(resnet_config("resnet18"));
  initialize(network, 7);
  int convolutions = 0;
  network.for_each_module([&](const std::string& path, Module& module) {
    const auto* conv = dynamic_cast<Conv2d*>(&module);
    if (!conv) return;
    ++convolutions;
    const Shape& s = conv->weight().shape();
    const auto n = static_cast<double>(s.numel());
    const double expected = std::sqrt(2.0 / static_cast<double>(s[0] * s[2] * s[3]));
    const Moments m = moments_of(conv->weight());
    EXPECT_NEAR(m.mean, 0, 5 * expected / std::sqrt(n)) << path;
    EXPECT_NEAR(m.deviation, expected, 5 * expected / std::sqrt(2 * n)) << path;
    EXPECT_GT(m.largest, 3 * expected) << path;  // normal, not uniform
  });
  EXPECT_EQ(convolutions, 20);
}

TEST(Initialization, NeutralNormsAndUniformHead) {
  ResNet network(resnet_config("resnet18"));
  for (const auto& [name, tensor] : network.state_dict())
    Tensor(tensor).copy_from(Tensor::full(tensor.shape(), 9));
  initialize(network, 7);
  for (const auto& [name, tensor] : network.state_dict()) {
    const bool one =
        name.ends_with("running_var") || (tensor.rank() == 1 && name.ends_with("weight"));
    const bool zero = name.ends_with("running_mean") ||
                      (name.find("bn") != std::string::npos && name.ends_with("bias"));
    if (one || zero) {
      for (const double v : tensor.to_doubles()) EXPECT_EQ(v, one ? 1 : 0) << name;
    }
  }
  const double bound = 1 / std::sqrt(512.0);
  for (const char* name : {"fc.weight", "fc.bias"}) {
    const Moments m = moments_of(network.state_dict().at(name));
    EXPECT_LE(m.largest, bound) << name;
    EXPECT_GT(m.largest, 0.99 * bound) << name;
    EXPECT_NEAR(m.deviation, bound / std::sqrt(3.0), 0.1 * bound) << name;
  }
}

TEST(Initialization, DependsOnSeedAndPathAlone) {
  const auto weights = [](uint64_t seed, int64_t depth) {
    CifarResNet network({.depth = depth});
    initialize(network, seed);
    return network.state_dict();
  };
  const StateDict a = weights(1, 20), again = weights(1, 20), other = weights(2, 20),
                  deeper = weights(1, 32);
  for (const auto& [name, tensor] : a) {
    EXPECT_EQ(tensor.to_doubles(), again.at(name).to_doubles()) << name;
    EXPECT_EQ(tensor.to_doubles(), deeper.at(name).to_doubles()) << name;
  }
  EXPECT_NE(a.at("conv1.weight").to_doubles(), other.at("conv1.weight").to_doubles());
  EXPECT_NE(a.at("layer1.0.conv1.weight").to_doubles(), a.at("layer1.0.conv2.weight").to_doubles());
}

TEST(Initialization, OfANewHeadOnly) {
  CifarResNet network({});
  initialize(network, 1);
  const std::vector<double> before = network.state_dict().at("layer3.0.conv1.weight").to_doubles();
  network.replace_head(4);
  // A new layer starts as PyTorch's do: within 1 / sqrt(64 inputs).
  const double largest = moments_of(network.state_dict().at("linear.weight")).largest;
  EXPECT_GT(largest, 0.1);
  EXPECT_LE(largest, 0.125);
  initialize_at(network, "linear", 3);
  EXPECT_GT(moments_of(network.state_dict().at("linear.weight")).largest, 0.05);
  EXPECT_EQ(network.state_dict().at("layer3.0.conv1.weight").to_doubles(), before);
  EXPECT_THROW(initialize_at(network, "fc", 3), Error);
}

}  // namespace
}  // namespace graft::models
