// Networks of words against their formulas, padding that stays zero, and what cannot be built.
#include "graft/models/text/word_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/base/error.h"
#include "graft/layers/functional/functional.h"
#include "graft/models/graph/graph_module.h"

namespace graft::models {
namespace {

constexpr int64_t kWords = 6, kWidth = 3, kLength = 5;

Tensor table(double shift) {
  std::vector<float> values(static_cast<size_t>(kWords * kWidth));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(std::sin(shift + 1.7 * static_cast<double>(i)));
  return Tensor::of({kWords, kWidth}, values);  // row 0 is not zeros: it must not matter
}

WordNetwork small(const std::string& name) {
  WordNetwork network{.name = name, .length = kLength, .vectors = table(0.3)};
  network.windows = {2, 3};
  network.maps = 4;
  return network;
}

Tensor texts(const std::vector<float>& numbers) {
  return Tensor::of({static_cast<int64_t>(numbers.size()) / kLength, 1, 1, kLength}, numbers);
}

// The vector at place l of a text, zeros outside and at padding.
double at(const Tensor& vectors, const std::vector<float>& text, int64_t l, int64_t d) {
  if (l < 0 || l >= kLength || text[static_cast<size_t>(l)] == 0) return 0;
  return vectors.to_doubles()[static_cast<size_t>(
      static_cast<int64_t>(text[static_cast<size_t>(l)]) * kWidth + d)];
}

TEST(WordGraph, KimsFeaturesAreTheirFormula) {
  const WordNetwork network = small("kim_cnn");
  const GraphConfig config = word_graph(network);
  EXPECT_EQ(config.features, 8);
  GraphModule module(config);
  module.train(false);
  ASSERT_EQ(module.stages().size(), 4u) << join(module.stages());
  EXPECT_EQ(module.stages()[0], "embedding");
  EXPECT_EQ(module.stages()[1], "features");
  const std::vector<float> text{3, 1, 5, 0, 0};
  const Tensor features = module(texts(text));
  ASSERT_EQ(features.shape(), (Shape{1, 8}));
  const std::vector<double> found = features.to_doubles();
  const StateDict tensors = module.state_dict();
  for (int64_t f = 0; f < 8; ++f) {
    const int64_t bank = f / 4, map = f % 4, window = bank + 2;
    const auto weight = tensors.at(str("filters.", bank, ".weight")).to_doubles();
    const auto bias = tensors.at(str("filters.", bank, ".bias")).to_doubles();
    double largest = 0;  // behind a ReLU
    for (int64_t first = 1 - window; first < kLength; ++first) {
      double sum = bias[static_cast<size_t>(map)];
      for (int64_t k = 0; k < window; ++k)
        for (int64_t d = 0; d < kWidth; ++d)
          sum += weight[static_cast<size_t>((map * window + k) * kWidth + d)] *
                 at(network.vectors, text, first + k, d);
      largest = std::max(largest, sum);
    }
    EXPECT_NEAR(found[static_cast<size_t>(f)], largest, 1e-5) << "feature " << f;
  }
}

TEST(WordGraph, TheMeanIsOfTheWordsAlone) {
  const WordNetwork network = small("word_mean");
  const GraphConfig config = word_graph(network);
  EXPECT_EQ(config.features, kWidth);
  GraphModule module(config);
  module.train(false);
  const std::vector<float> both{2, 4, 4, 0, 0, 5, 0, 0, 0, 0};
  const std::vector<double> found = module(texts(both)).to_doubles();
  for (int64_t d = 0; d < kWidth; ++d) {
    const std::vector<float> first(both.begin(), both.begin() + kLength), second{5, 0, 0, 0, 0};
    const double sum = at(network.vectors, first, 0, d) + at(network.vectors, first, 1, d) +
                       at(network.vectors, first, 2, d);
    EXPECT_NEAR(found[static_cast<size_t>(d)], sum / 3, 1e-6);
    EXPECT_NEAR(found[static_cast<size_t>(kWidth + d)], at(network.vectors, second, 0, d), 1e-6);
  }
  // A text without words, as a plan's trial run has it.
  for (const double value : module(texts({0, 0, 0, 0, 0})).to_doubles()) EXPECT_EQ(value, 0);
}

TEST(WordGraph, PaddingHasNoGradientAndFixedVectorsNeverLearn) {
  WordNetwork network = small("kim_cnn");
  network.fixed = table(2);
  GraphModule module(word_graph(network));
  module.train(true);
  const StateDict tensors = module.state_dict();
  ASSERT_TRUE(tensors.contains("fixed.weight"));
  std::vector<std::string> learned;
  for (const auto& parameter : module.parameters()) learned.push_back(parameter.name);
  EXPECT_EQ(std::count(learned.begin(), learned.end(), "fixed.weight"), 0);
  EXPECT_EQ(std::count(learned.begin(), learned.end(), "embedding.weight"), 1);
  backward(functional::sum(module(texts({3, 1, 5, 0, 0}))));
  for (const auto& parameter : module.parameters()) {
    if (parameter.name != "embedding.weight") continue;
    const std::vector<double> gradient = grad_of(parameter.tensor).to_doubles();
    double others = 0;
    for (size_t i = 0; i < gradient.size(); ++i) {
      const size_t row = i / kWidth;
      if (row == 0 || row == 2 || row == 4) {
        EXPECT_EQ(gradient[i], 0) << "row " << row;
      }
      others += std::abs(gradient[i]);
    }
    EXPECT_GT(others, 0);
  }
}

TEST(WordGraph, WhatCannotBeBuiltIsRefused) {
  const auto refused = [](const WordNetwork& network) {
    try {
      word_graph(network);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    ADD_FAILURE();
    return std::string();
  };
  WordNetwork network = small("lstm");
  EXPECT_NE(refused(network).find("'lstm' is none of kim_cnn, word_mean"), std::string::npos);
  network = small("kim_cnn");
  network.windows = {65};
  EXPECT_NE(refused(network).find("a filter over 65 words"), std::string::npos);
  network = small("kim_cnn");
  network.vectors = {};
  EXPECT_NE(refused(network).find("takes vectors"), std::string::npos);
  network = small("kim_cnn");
  network.dropout = 1;
  EXPECT_NE(refused(network).find("dropout 1"), std::string::npos);
}

}  // namespace
}  // namespace graft::models
