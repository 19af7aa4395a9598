// Calls that would train or count something else than was meant: each one is an Error.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/modules/linear.h"
#include "graft/models/architecture.h"
#include "graft/train/optimizer.h"
#include "graft/train/tasks/classification/evaluation.h"

namespace graft::train {
namespace {

std::string bad_input_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(Misuse, AnOptimizerFromBeforeTheNewHeadIsRefused) {
  auto architecture = models::architecture_named("cifar_resnet20");
  const auto network = models::make_network(architecture);
  for (const char* name : {"sgd", "adam"}) {
    const auto optimizer = make_optimizer(network->parameters(), {.name = name});
    models::replace_head(*network, architecture, 3, 0);
    const Tensor loss = functional::cross_entropy(network->forward(Tensor::full({2, 3, 8, 8}, 0.1)),
                                                  Tensor::of<int64_t>({2}, {0, 1}));
    EXPECT_NE(bad_input_of([&] { optimizer->backward_and_step(loss, 0.1); }).find("linear.weight"),
              std::string::npos);
    EXPECT_NE(bad_input_of([&] { optimizer->step(0.1); }).find("replace_head"), std::string::npos);
    make_optimizer(network->parameters(), {.name = name})->backward_and_step(loss, 0.1);
  }
}

TEST(Misuse, AnOptimizerFromBeforeAConversionIsRefused) {
  Linear layer(2, 2);
  const auto optimizer = make_optimizer(layer.parameters(), {});
  layer.to(DType::f64);
  EXPECT_NE(bad_input_of([&] { optimizer->step(0.1); }).find("'weight'"), std::string::npos);
}

TEST(Misuse, LearningRatesAreNumbers) {
  Linear layer(2, 2);
  const auto optimizer = make_optimizer(layer.parameters(), {});
  for (const double lr : {std::nan(""), std::numeric_limits<double>::infinity(), -0.1})
    EXPECT_NE(bad_input_of([&] { optimizer->step(lr); }), "") << lr;
  optimizer->step(0);
}

TEST(Misuse, EvaluationsCountWhatFits) {
  EXPECT_NE(bad_input_of([] { Evaluation e(0); }), "");
  Evaluation e(2);
  const Tensor labels = Tensor::of<int64_t>({2}, {0, 1});
  EXPECT_NE(bad_input_of([&] { e.add({0}, labels); }), "");
  EXPECT_NE(bad_input_of([&] { e.add({0, 1, 1}, labels); }), "");
  EXPECT_NE(bad_input_of([&] { e.add({0, 2}, labels); }), "");
  EXPECT_NE(bad_input_of([&] { e.add({0, -1}, labels); }), "");
  EXPECT_NE(bad_input_of([&] { e.add({0, 1}, Tensor::of<int64_t>({2}, {0, 7})); }), "");
  EXPECT_EQ(e.samples(), 0);  // all or nothing
  for (const int64_t outside : {-1, 2}) {
    EXPECT_NE(bad_input_of([&] { e.confusion(outside, 0); }), "");
    EXPECT_NE(bad_input_of([&] { e.precision(outside); }), "");
    EXPECT_NE(bad_input_of([&] { e.recall(outside); }), "");
  }
}

}  // namespace
}  // namespace graft::train
