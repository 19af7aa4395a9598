// Plans compute what the network computes in eval, whatever the batch, notice writes, and refuse
// what they do not know.
#include "graft/layers/plan/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/runtime/random.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/dropout.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/normalization.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/reduction.h"
#include "graft/layers/functional/softmax.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/models/architecture.h"
#include "graft/models/initialization.h"

namespace graft {
namespace {

Tensor images(int64_t n, int64_t channels, int64_t side) {
  Tensor x = Tensor::empty({n, channels, side, side}, {.format = MemoryFormat::channels_last});
  CountedRandom random(1, RandomPurpose::synthetic);
  fill_normal(x, 0, 1, random);
  return x;
}

// Statistics and affine parameters that are not neutral, so that folding them matters.
void stir_norms(Module& network) {
  uint64_t seed = 0;
  network.for_each_module([&](const std::string&, Module& module) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&module);
    if (!norm) return;
    CountedRandom random(++seed, RandomPurpose::synthetic);
    for (const auto& [name, tensor] : norm->own_tensors()) {
      Tensor t = tensor;
      if (name == "weight" || name == "running_var") fill_uniform(t, 0.5, 1.5, random);
      if (name == "bias" || name == "running_mean") fill_uniform(t, -0.3, 0.3, random);
    }
  });
}

std::shared_ptr<StagedNetwork> network_named(const std::string& name) {
  const auto network = models::make_network(models::architecture_named(name));
  models::initialize(*network, 3);
  stir_norms(*network);
  network->train(false);
  return network;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  const auto x = a.to_doubles(), y = b.to_doubles();
  double largest = 0, scale = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(x[i] - y[i]));
    scale = std::max(scale, std::abs(x[i]));
  }
  return largest / scale;
}

class PlanOf : public testing::TestWithParam<std::string> {};

TEST_P(PlanOf, ComputesWhatTheNetworkDoes) {
  const NoGradGuard no_grad;
  const auto network = network_named(GetParam());
  const auto forward = [&](const Tensor& x) { return network->forward(x); };
  std::string reason;
  const auto plan = Plan::compile(forward, {3, 33, 33}, &reason);
  ASSERT_TRUE(plan) << reason;
  const Tensor x = images(3, 3, 33);
  const Tensor y = plan->run(x);
  EXPECT_LT(largest_difference(network->forward(x), y), 1e-4);
  // One sample alone: the same bits as within the batch.
  const Tensor alone = plan->run(x.narrow_batch(1, 1));
  const size_t row = static_cast<size_t>(alone.bytes());
  EXPECT_EQ(std::memcmp(alone.raw(), static_cast<const std::byte*>(y.raw()) + row, row), 0);
}

TEST_P(PlanOf, ComputesInBfloat16) {
  const NoGradGuard no_grad;
  const auto network = network_named(GetParam());
  std::string reason;
  const auto plan = Plan::compile([&](const Tensor& x) { return network->forward(x); }, {3, 33, 33},
                                  &reason, {.precision = DType::bf16});
  ASSERT_TRUE(plan) << reason;
  const Tensor x = images(3, 3, 33);
  const Tensor y = plan->run(x);
  EXPECT_EQ(y.dtype(), DType::f32);
  const double difference = largest_difference(network->forward(x), y);
  EXPECT_LT(difference, 0.05);
  EXPECT_GT(difference, 1e-5);  // it did round
  const Tensor alone = plan->run(x.narrow_batch(1, 1));
  const size_t row = static_cast<size_t>(alone.bytes());
  EXPECT_EQ(std::memcmp(alone.raw(), static_cast<const std::byte*>(y.raw()) + row, row), 0);
}

// Traced by shapes alone it is the same plan; and packing ahead, which begins with the second run,
// changes no bit.
TEST_P(PlanOf, IsTheSameTracedByShapesAndOnceItIsPacked) {
  const NoGradGuard no_grad;
  const auto network = network_named(GetParam());
  const auto forward = [&](const Tensor& x) { return network->forward(x); };
  const auto by_values = Plan::compile(forward, {3, 33, 33}),
             by_shapes = Plan::compile(forward, {3, 33, 33}, nullptr,
                                       {.tracing = PlanOptions::Tracing::shapes});
  ASSERT_TRUE(by_values && by_shapes);
  EXPECT_EQ(by_values->describe(), by_shapes->describe());
  const Tensor x = images(2, 3, 33);
  const Tensor first = by_values->run(x), second = by_values->run(x), other = by_shapes->run(x);
  EXPECT_EQ(std::memcmp(first.raw(), second.raw(), static_cast<size_t>(first.bytes())), 0);
  EXPECT_EQ(std::memcmp(first.raw(), other.raw(), static_cast<size_t>(first.bytes())), 0);
}

TEST_P(PlanOf, ComputesInBytesOnceCalibrated) {
  const NoGradGuard no_grad;
  const auto network = network_named(GetParam());
  const auto forward = [&](const Tensor& x) { return network->forward(x); };
  const auto plan = Plan::compile(forward, {3, 33, 33});
  ASSERT_TRUE(plan);
  const Tensor x = images(4, 3, 33);
  RangeObserver observer;
  plan->observe(x, observer);
  const Calibration calibration = observer.calibration();
  EXPECT_EQ(calibration.images, 4);
  std::string reason;
  const auto bytes = Plan::compile(forward, {3, 33, 33}, &reason, {.calibration = &calibration});
  ASSERT_TRUE(bytes) << reason;
  EXPECT_NE(bytes->describe().find("quantized_conv"), std::string::npos);
  EXPECT_NE(bytes->describe().find("to u8"), std::string::npos);
  const Tensor y = bytes->run(x);
  const double difference = largest_difference(network->forward(x), y);
  EXPECT_LT(difference, 0.15);
  EXPECT_GT(difference, 1e-4);  // it did round
  const Tensor alone = bytes->run(x.narrow_batch(1, 1));
  const size_t row = static_cast<size_t>(alone.bytes());
  EXPECT_EQ(std::memcmp(alone.raw(), static_cast<const std::byte*>(y.raw()) + row, row), 0);

  Calibration other = calibration;
  other.ranges.resize(1);  // the image alone
  EXPECT_THROW(Plan::compile(forward, {3, 33, 33}, nullptr, {.calibration = &other}), Error);
}

INSTANTIATE_TEST_SUITE_P(Networks, PlanOf,
                         testing::Values("resnet18", "resnet50", "cifar_resnet20"));

TEST(Plan, FusesEverythingInAResNet) {
  const NoGradGuard no_grad;
  const auto network = network_named("resnet18");
  const auto plan =
      Plan::compile([&](const Tensor& x) { return network->forward(x); }, {3, 32, 32});
  const std::string text = plan->describe();
  EXPECT_EQ(text.find("batch_norm"), std::string::npos) << text;
  EXPECT_EQ(text.find("unary"), std::string::npos) << text;
  size_t residuals = 0;
  for (size_t at = 0; (at = text.find("+residual relu", at)) != std::string::npos; ++at)
    ++residuals;
  EXPECT_EQ(residuals, 8u) << text;
}

TEST(Plan, SumsAndActivationsAreFused) {
  const NoGradGuard no_grad;
  Tensor w = Tensor::empty({4, 4, 3, 3}), b = Tensor::full({4}, 0.1);
  CountedRandom random(5, RandomPurpose::synthetic);
  fill_normal(w, 0, 0.3, random);
  const ops::ConvAttributes same{.window = ops::square_window(3, 1, 1)};
  const auto forward = [&](const Tensor& x) {
    return functional::relu6(functional::add(x, functional::conv(x, w, b, same)));
  };
  const auto plan = Plan::compile(forward, {4, 7, 5});
  ASSERT_TRUE(plan);
  EXPECT_NE(plan->describe().find("+residual relu6"), std::string::npos) << plan->describe();
  Tensor x = Tensor::empty({2, 4, 7, 5}, {.format = MemoryFormat::channels_last});
  fill_normal(x, 0, 2, random);
  EXPECT_LT(largest_difference(forward(x), plan->run(x)), 1e-5);
}

TEST(Plan, AValueThatIsReadTwiceIsNotFusedAway) {
  const NoGradGuard no_grad;
  Tensor w = Tensor::empty({4, 4, 1, 1});
  CountedRandom random(6, RandomPurpose::synthetic);
  fill_normal(w, 0, 1, random);
  const auto forward = [&](const Tensor& x) {
    const Tensor y = functional::conv(x, w, {});
    return functional::add(functional::relu(y), functional::mul(y, y));
  };
  const auto plan = Plan::compile(forward, {4, 3, 3});
  ASSERT_TRUE(plan);
  const Tensor x = images(2, 4, 3);
  EXPECT_LT(largest_difference(forward(x), plan->run(x)), 1e-6);
}

TEST(Plan, NoticesThatAParameterWasWritten) {
  const NoGradGuard no_grad;
  const auto network = network_named("cifar_resnet20");
  const auto plan =
      Plan::compile([&](const Tensor& x) { return network->forward(x); }, {3, 32, 32});
  EXPECT_FALSE(plan->stale());
  Tensor mean = dynamic_cast<BatchNorm2d*>(network->find("layer2.1.bn2"))->running_mean();
  mean.copy_from(Tensor::full(mean.shape(), 0.5));
  EXPECT_TRUE(plan->stale());
}

// A block as of a small transformer over an upsampled image, with a weight that is transposed on
// the way.
TEST(Plan, RunsWhatImportedGraphsAreMadeOf) {
  const NoGradGuard no_grad;
  CountedRandom random(7, RandomPurpose::synthetic);
  Tensor w = Tensor::empty({6, 5}), up = Tensor::empty({4, 5, 2, 2});
  fill_normal(w, 0, 0.4, random);
  fill_normal(up, 0, 0.4, random);
  ops::ConvAttributes twice;
  twice.window.stride = {2, 2, 1};
  const auto forward = [&](const Tensor& x) {
    using namespace functional;
    static constexpr int kTokens[] = {0, 2, 1}, kSwap[] = {1, 0};
    const Tensor grown = conv_transpose(
        interpolate(x, std::vector<int64_t>{5, 3}, ResizeMode::linear), up, {}, twice);
    const Tensor tokens = layer_norm(transpose(reshape(grown, {x.size(0), 5, 60}), kTokens),
                                     Tensor::full({5}, 1.5), Tensor::full({5}, 0.1));
    const Tensor values = matmul(tokens, transpose(w, kSwap));  // [N,60,6]
    const Tensor mixed =
        matmul(softmax(matmul(values, transpose(values, kTokens)), 2), gelu(values));
    const Tensor some = gather(mixed, Tensor::of<int64_t>({3}, {0, 7, 59}), 1);
    return reduce(where(binary(some, Tensor::scalar(0), ops::Binary::greater), some, neg(some)),
                  {ops::Reduce::l2, {1}});
  };
  std::string reason;
  const auto plan = Plan::compile(forward, {4, 4, 3}, &reason);
  ASSERT_TRUE(plan) << reason;
  Tensor y = Tensor::empty({5, 4, 4, 3}, {.format = MemoryFormat::channels_last});
  fill_normal(y, 0, 1, random);
  EXPECT_LT(largest_difference(forward(y), plan->run(y)), 1e-5);
  EXPECT_FALSE(plan->stale());
  w.mutable_data<float>()[0] = 3;  // it was folded into a transposed copy
  EXPECT_TRUE(plan->stale());
}

// Functions of [N,3,4,4] whose operations once cost a network its plan.
TEST(Plan, RunsOperationsThatWalkWithinASample) {
  using namespace functional;
  using Forward = std::function<Tensor(const Tensor&)>;
  const NoGradGuard no_grad;
  const auto rows = [](const Tensor& x) { return reshape(x, {x.size(0), 12, 4}); };
  const auto places = [&](const Tensor& x) { return argmax(rows(x), 2); };  // [N,12,1]
  const Tensor table =
      Tensor::of<float>({4, 2}, {0.5f, 1.5f, -2.0f, 3.0f, 0.25f, -1.0f, 7.0f, 2.0f});
  const std::vector<std::pair<const char*, Forward>> cases{
      {"argmax", [&](const Tensor& x) { return cast(places(x), DType::f32); }},
      {"cumulative_sum", [&](const Tensor& x) { return cumulative_sum(rows(x), 1, true, true); }},
      {"gather_elements", [&](const Tensor& x) { return gather_elements(rows(x), places(x), 2); }},
      {"gather_nd", [&](const Tensor& x) { return gather_nd(rows(x), places(x), 1); }},
      {"embedding", [&](const Tensor& x) { return gather(table, places(x), 0); }},
      {"scatter_elements",
       [&](const Tensor& x) {
         return scatter_elements(rows(x), places(x), neg(gather_elements(rows(x), places(x), 2)),
                                 2);
       }},
      {"grid_sample",
       [](const Tensor& x) {
         const Tensor grid = functional::tanh(
             transpose(slice(to_format(x, MemoryFormat::contiguous), {{0}, {2}, {1}}),
                       std::vector<int>{0, 2, 3, 1}));
         return grid_sample(to_format(x, MemoryFormat::contiguous), grid, {});
       }},
  };
  CountedRandom random(5, RandomPurpose::synthetic);
  Tensor x = Tensor::empty({5, 3, 4, 4}, {.format = MemoryFormat::channels_last});
  fill_normal(x, 0, 1, random);
  for (const auto& [name, forward] : cases) {
    std::string reason;
    const auto plan = Plan::compile(forward, {3, 4, 4}, &reason);
    ASSERT_TRUE(plan) << name << ": " << reason;
    EXPECT_LT(largest_difference(forward(x), plan->run(x)), 1e-6) << name;
  }
}

// Every operation that no plan runs says why.
TEST(Plan, SaysWhyAnOperationIsNotRun) {
  using namespace functional;
  using Forward = std::function<Tensor(const Tensor&)>;
  const NoGradGuard no_grad;
  const auto flat = [](const Tensor& x) { return reshape(x, {x.size(0), 48}); };
  const std::vector<std::pair<const char*, Forward>> cases{
      {"topk has 2 results", [&](const Tensor& x) { return topk(flat(x), 2, 1).values; }},
      {"dropout: it draws random numbers",
       [](const Tensor& x) { return dropout(x, {.probability = 0.5}, true); }},
      {"gather: it mixes samples",  // each sample's place is looked up in every sample
       [&](const Tensor& x) { return gather(flat(x), argmax(flat(x), 1, false), 1); }},
      {"binary: it mixes samples",  // [N,2] beside [N,2,2] is added along the wrong axis
       [&](const Tensor& x) {
         const Tensor two = slice(flat(x), {{0}, {2}, {1}}), four = slice(flat(x), {{0}, {4}, {1}});
         return add(reshape(four, {x.size(0), 2, 2}), two);
       }},
      {"batch_norm: it takes statistics of its batch",
       [](const Tensor& x) {
         return batch_norm(x, Tensor(), Tensor(), Tensor(), Tensor(), {.training = true});
       }},
  };
  for (const auto& [why, forward] : cases) {
    std::string reason;
    EXPECT_FALSE(Plan::compile(forward, {3, 4, 4}, &reason)) << why;
    EXPECT_NE(reason.find(why), std::string::npos) << why << " is not in: " << reason;
  }
}

TEST(Plan, RefusesWhatMixesSamplesOrIsNotKnown) {
  const NoGradGuard no_grad;
  std::string reason;
  EXPECT_FALSE(Plan::compile([](const Tensor& x) { return functional::reshape(x, {x.numel()}); },
                             {3, 4, 4}, &reason));
  EXPECT_NE(reason.find("reshape"), std::string::npos) << reason;
  EXPECT_FALSE(
      Plan::compile([](const Tensor& x) { return functional::reduce(x, {}); }, {3, 4, 4}, &reason));
  EXPECT_NE(reason.find("reduce"), std::string::npos) << reason;
  const auto refused = [](const std::function<Tensor(const Tensor&)>& forward) {
    return !Plan::compile(forward, {3, 4, 4});
  };
  EXPECT_TRUE(refused([](const Tensor& x) { return functional::transpose(x); }));
  EXPECT_TRUE(refused([](const Tensor& x) { return functional::slice(x, {{0}, {1}}); }));
  EXPECT_TRUE(refused([](const Tensor& x) {
    return functional::reduce(x, {ops::Reduce::sum, {-4}, true});
  }));
  EXPECT_TRUE(refused([](const Tensor& x) {
    return functional::add(x,
                           functional::expand(Tensor::zeros({1, 3, 1, 1}), {x.size(0), 3, 1, 1}));
  }));
  EXPECT_TRUE(refused([](const Tensor& x) {
    return functional::add(x, Tensor::full({x.size(0), 1, 1, 1}, 1));
  }));
  EXPECT_TRUE(refused([](const Tensor& x) {
    const Tensor rows = functional::slice(functional::reshape(x, {x.size(0), 48}), {{0}, {2}, {1}});
    return functional::matmul(rows, rows);  // two samples of two: as a product it fits by chance
  }));
  EXPECT_FALSE(Plan::compile([](const Tensor&) { return Tensor::zeros({1}); }, {3, 4, 4}, &reason));
  const auto plan = Plan::compile([](const Tensor& x) { return functional::relu(x); }, {3, 4, 4});
  ASSERT_TRUE(plan);
  EXPECT_THROW(plan->run(images(1, 3, 5)), Error);
}

}  // namespace
}  // namespace graft
