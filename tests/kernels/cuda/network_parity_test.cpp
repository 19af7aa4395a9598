// Whole networks on the device beside the CPU: logits, the gradients of a step, and steps of a head
// behind a frozen backbone. On a GPU ResNet-18 and ResNet-50 at their own size, on the emulator one
// that it can do. The distances are recorded, for tools/gpu_check.sh to hold beside its targets;
// what is asserted in bf16 is wider, as two ways of rounding differ more than each from the truth.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/record.h"
#include "graft/core/runtime/random.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/models/architecture.h"
#include "graft/models/initialization.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/train/features.h"
#include "graft/train/optimizer.h"
#include "graft/train/tasks/classification/classification.h"
#include "graft/train/training_step.h"

namespace graft {
namespace {

using test::kCuda;

constexpr int64_t kClasses = 10;

struct Subject {
  std::string network;
  int64_t image, batch;
};

std::vector<Subject> subjects() {
  if (test::TestDevice::is_real()) return {{"resnet18", 224, 8}, {"resnet50", 224, 8}};
  return {{"cifar_resnet20", 8, 3}};
}

std::shared_ptr<StagedNetwork> make(const Subject& s, Device device) {
  models::Architecture architecture = models::architecture_named(s.network);
  auto network = models::make_network(architecture);
  models::initialize(*network, 0);
  models::replace_head(*network, architecture, kClasses, 0);
  network->to(device);
  return network;
}

train::Batch batch_number(const Subject& s, uint64_t number) {
  train::Batch batch;
  batch.x = Tensor::empty({s.batch, 3, s.image, s.image}, {.format = MemoryFormat::channels_last});
  batch.targets = Tensor::empty({s.batch}, {.dtype = DType::i64});
  CountedRandom random(1, RandomPurpose::synthetic, 0, number);
  fill_normal(batch.x, 0, 1, random);
  for (int64_t i = 0; i < s.batch; ++i)
    batch.targets.tensors[0].mutable_data<int64_t>()[i] =
        (i + static_cast<int64_t>(number)) * 7 % kClasses;
  return batch;
}

// || actual - expected || / || expected || over all tensors together.
double relative_l2(const std::vector<std::vector<double>>& actual,
                   const std::vector<std::vector<double>>& expected) {
  double difference = 0, whole = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    for (size_t j = 0; j < expected[i].size(); ++j) {
      difference += std::pow(actual.at(i).at(j) - expected[i][j], 2);
      whole += std::pow(expected[i][j], 2);
    }
  return std::sqrt(difference / whole);
}

void record(const std::string& name, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  testing::Test::RecordProperty(name, text);
}

// The fake's plans are not kept on disk.
class CudaParity : public testing::TestWithParam<Subject> {
 protected:
  CudaParity() {
    if (!test::TestDevice::is_real()) setenv("GRAFT_CUDNN_CACHE", "off", 1);
  }
  ~CudaParity() override {
    if (!test::TestDevice::is_real()) unsetenv("GRAFT_CUDNN_CACHE");
  }
  Subject s = GetParam();
};

// As inference computes them, by the plan and by the modules one by one, beside the CPU's modules
// in the same precision.
TEST_P(CudaParity, Logits) {
  const auto logits = [&](Device device, DType precision, bool plan) {
    const auto network = make(s, device);
    network->train(false);
    const NoGradGuard no_gradients;
    const Tensor x = to_device(batch_number(s, 0).x, device);
    if (!plan)
      return functional::cast(network->forward(functional::cast(x, precision)), DType::f32)
          .to_doubles();
    train::PrefixRunner run(*network, network->stages().size(), precision);
    const Tensor y = run(x);
    EXPECT_EQ(run.refusal(), "");
    return y.to_doubles();
  };
  const std::vector<double> expected = logits({}, DType::f32, false),
                            rounded = logits({}, DType::bf16, false);
  test::TestDevice opened(test::Products::libraries);
  const auto distance = [&](DType precision, const std::vector<double>& from) {
    return std::max(test::relative_error(logits(kCuda, precision, true), from),
                    test::relative_error(logits(kCuda, precision, false), from));
  };
  const double full = distance(DType::f32, expected), half = distance(DType::bf16, rounded);
  record("logits_fp32", full);
  record("logits_bf16", half);
  record("logits_bf16_from_fp32", distance(DType::bf16, expected));
  EXPECT_LE(full, 1e-4) << s.network;
  EXPECT_LE(half, 1e-1) << s.network;
}

// Of a whole step of all layers, batch norms by the batch; each precision beside the CPU in the
// same. How far the two are from float32 in bf16 is recorded too: rounding moves such gradients
// more than devices do.
TEST_P(CudaParity, Gradients) {
  const auto gradients = [&](Device device, DType precision) {
    const auto network = make(s, device);
    network->train(true);
    train::StepResult result = train::add_gradients(*network, 0, train::Classification(kClasses),
                                                    batch_number(s, 0), {.activations = precision});
    result.read();
    std::vector<std::vector<double>> all{{result.loss}};
    for (const NamedTensor& p : network->parameters())
      all.push_back(grad_of(p.tensor).to_doubles());
    return all;
  };
  const auto expected = gradients({}, DType::f32), rounded = gradients({}, DType::bf16);
  test::TestDevice opened(test::Products::libraries);
  const auto full = gradients(kCuda, DType::f32), half = gradients(kCuda, DType::bf16);
  EXPECT_NEAR(full[0][0], expected[0][0], 1e-4 * std::abs(expected[0][0]));
  EXPECT_NEAR(half[0][0], expected[0][0], 3e-2 * std::abs(expected[0][0]));
  record("gradients_fp32", relative_l2(full, expected));
  record("gradients_bf16", relative_l2(half, rounded));
  record("gradients_bf16_from_fp32", relative_l2(half, expected));
  record("cpu_gradients_bf16_from_fp32", relative_l2(rounded, expected));
  EXPECT_LE(relative_l2(full, expected), 1e-3) << s.network;
  EXPECT_LE(relative_l2(half, expected), std::max(3e-2, 2 * relative_l2(rounded, expected)))
      << s.network;
}

// 20 steps of the head, each on another batch; the largest difference of a loss.
TEST_P(CudaParity, FrozenSteps) {
  const auto losses = [&](Device device) {
    const auto network = make(s, device);
    for (size_t stage = 0; stage + 1 < network->stages().size(); ++stage)
      network->freeze_stage(stage);
    network->train(true);
    const size_t first = network->frozen_stages();
    train::PrefixRunner prefix(*network, first);
    std::vector<NamedTensor> trainable;
    for (const NamedTensor& p : network->parameters())
      if (requires_grad(p.tensor)) trainable.push_back(p);
    const auto optimizer = train::make_optimizer(trainable, {});
    std::vector<double> all;
    for (uint64_t step = 0; step < 20; ++step) {
      train::Batch batch = batch_number(s, step);
      batch.x = prefix(batch.x);
      train::StepResult result =
          train::add_gradients(*network, first, train::Classification(kClasses), batch, {});
      result.read();
      all.push_back(result.loss);
      optimizer->step(1e-2);
      network->zero_grad();
    }
    return all;
  };
  const std::vector<double> expected = losses({});
  test::TestDevice opened(test::Products::libraries);
  const std::vector<double> actual = losses(kCuda);
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    largest = std::max(largest, std::abs(actual[i] / expected[i] - 1));
  record("frozen_loss", largest);
  EXPECT_LE(largest, 1e-3);
  EXPECT_NE(expected.front(), expected.back());
}

INSTANTIATE_TEST_SUITE_P(Networks, CudaParity, testing::ValuesIn(subjects()),
                         [](const auto& subject) { return subject.param.network; });

}  // namespace
}  // namespace graft
