// average(): the mean of weights, the greedy choice, and what is no soup of one network.
#include "graft/api/average.h"

#include <gtest/gtest.h>

#include "graft/api/trained_model.h"
#include "graft/core/base/error.h"
#include "graft/models/architecture.h"
#include "graft/models/initialization.h"

namespace graft {
namespace {

// A CIFAR ResNet-8 all of whose floating tensors hold `value`.
NamedModel model_of(const std::string& name, double value, int64_t classes = 2) {
  NamedModel made{name, {}};
  models::ModelCard& card = made.model.card;
  card.architecture = models::CifarResNetConfig{.depth = 8, .classes = classes};
  card.preprocess = io::imagenet_preprocess(32);
  card.preprocess.resize_to = 0;
  made.model.network = models::make_network(card.architecture);
  StateDict state;
  for (const auto& [path, tensor] : made.model.network->state_dict())
    state.add(path,
              tensor.dtype() == DType::f32 ? Tensor::full(tensor.shape(), value) : tensor.clone());
  made.model.network->load_state_dict(state);
  return made;
}

double weight_of(const models::Model& model) {
  return model.network->state_dict().at("conv1.weight").to_doubles().at(0);
}

std::string refusal_of(const std::vector<NamedModel>& parts) {
  try {
    average(parts);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Average, IsTheMeanOfAllTensors) {
  const models::Model made = average({model_of("a", 1), model_of("b", 2), model_of("c", 6)});
  for (const auto& [path, tensor] : made.network->state_dict()) {
    if (tensor.dtype() != DType::f32) continue;
    for (const double value : tensor.to_doubles()) ASSERT_EQ(value, 3) << path;
  }
  EXPECT_NE(made.card.lineage.recipe.find("average_of"), std::string::npos);
  EXPECT_FALSE(made.network->training());
}

TEST(Average, NormsWithStatisticsOfTheirOwn) {
  EXPECT_TRUE(norms_that_differ({model_of("a", 1), model_of("b", 1)}).empty());
  const auto differing = norms_that_differ({model_of("a", 1), model_of("b", 2)});
  ASSERT_FALSE(differing.empty());
  EXPECT_EQ(differing[0], "bn1");
}

TEST(Average, GreedyKeepsWhatDoesNotHurt) {
  // The nearer the weights are to 4 the better: 3 is best; with 6 (4.5) better; with 9 (6) worse;
  // with 1.5 (3.5) as good.
  const std::vector<NamedModel> parts = {model_of("nine", 9), model_of("three", 3),
                                         model_of("six", 6), model_of("less", 1.5)};
  int prepared = 0;
  const GreedySoup soup = greedy_average(
      parts, [](models::Model& model) { return -std::abs(weight_of(model) - 4); },
      [&](models::Model&) { ++prepared; });
  EXPECT_EQ(soup.kept, (std::vector<size_t>{1, 2, 3}));
  EXPECT_EQ(soup.score, -0.5);
  EXPECT_EQ(soup.scores, (std::vector<double>{-5, -1, -2, -2.5}));
  EXPECT_EQ(weight_of(soup.model), 3.5);
  EXPECT_EQ(prepared, 3);
}

TEST(Average, RefusesWhatIsNotOneNetwork) {
  EXPECT_NE(refusal_of({model_of("a", 1)}).find("1 model; at least two"), std::string::npos);
  const std::string networks = refusal_of({model_of("a", 1), model_of("b", 1, 3)});
  EXPECT_NE(networks.find("a and b differ in their networks"), std::string::npos) << networks;
  NamedModel named = model_of("named", 1);
  named.model.card.labels = {"cat", "dog"};
  EXPECT_NE(refusal_of({model_of("a", 1), named}).find("a and named differ in what their outputs"),
            std::string::npos);
  NamedModel larger = model_of("larger", 1);
  larger.model.card.preprocess.size = 64;
  EXPECT_NE(refusal_of({model_of("a", 1), larger}).find("how images become their input"),
            std::string::npos);
}

}  // namespace
}  // namespace graft
