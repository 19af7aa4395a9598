// Steps that a device records once and repeats: whole runs give the bits of steps that are queued
// anew.
#include <gtest/gtest.h>

#include "graft/layers/functional/elementwise.h"
#include "graft/layers/modules/dropout.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/training_step.h"

namespace graft::train {
namespace {

using test::kCuda;
using test::Products;

// The small network with dropout before its last layer, whose weights are `head` times as large:
// gradients that overflow in float16. `looks`: it reads a value on the way, which no recording can.
class DroppingNetwork final : public StagedNetwork {
 public:
  explicit DroppingNetwork(float head = 1, bool looks = false) : looks_(looks) {
    register_nameless_module("body", body_);
    register_module("first", first_);
    register_module("dropout", dropout_);
    models::initialize(*this, 3);
    Tensor weight = static_cast<Linear*>(body_->find("fc"))->weight();
    std::vector<double> values = weight.to_doubles();
    for (double& value : values) value *= head;
    weight.copy_from(Tensor::of(weight.shape(), values));
  }
  const std::vector<std::string>& stages() const override { return body_->stages(); }
  std::vector<std::string> stage_paths(size_t stage) const override {
    std::vector<std::string> paths = body_->stage_paths(stage);
    if (stage + 1 == stages().size()) paths.insert(paths.end(), {"first", "dropout"});
    return paths;
  }
  Tensor forward(const Tensor& x) override { return forward_stages(x, 0, stages().size()); }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override {
    const size_t last = stages().size() - 1;
    Tensor y = begin < last ? body_->forward_stages(x, begin, std::min(end, last)) : x;
    if (looks_) static_cast<void>(y.to_doubles());
    if (end <= last) return y;
    y = dropout_->forward(first_->forward(y));
    return body_->forward_stages(y, last, end);
  }

 private:
  bool looks_;
  std::shared_ptr<SmallNetwork> body_ = std::make_shared<SmallNetwork>();
  std::shared_ptr<Dropout> first_ = std::make_shared<Dropout>(0.2),
                           dropout_ = std::make_shared<Dropout>(0.3);
};

struct Case {
  const char* name;
  Recipe recipe;
  float head = 1;
  bool looks = false;
};

std::vector<Case> cases() {
  Recipe plain = small_recipe(), adam = small_recipe("stem"), adamw = small_recipe(),
         half = small_recipe(), head = small_recipe("backbone");
  plain.warmup_epochs = 1;
  adam.optimizer = {.name = "adam"};
  adam.lr = 1e-3;
  adam.batch = 5;  // no smaller last batch
  adam.cache_features = false;
  adamw.optimizer = {.name = "adamw", .weight_decay = 0.01};
  adamw.lr = 1e-3;
  adamw.precision = "bf16";
  adamw.label_smoothing = 0.1;
  half.precision = "fp16";
  head.augment = "light";
  return {{"plain", plain},   {"adam", adam}, {"adamw", adamw},
          {"half", half, 60}, {"head", head}, {"looks", plain, 1, true}};
}

struct RepeatedRun {
  Outcome outcome;
  std::vector<std::string> notes;
  RepeatedRun(const Case& tried, bool repeat, FitOptions options = {}) {
    DroppingNetwork network(tried.head, tried.looks);
    network.to(kCuda);
    options.repeat_steps = repeat;
    options.on_note = [this](const std::string& note) { notes.push_back(note); };
    FitResult result = fit(network, small_data(), pattern_preprocess(8), tried.recipe, options);
    outcome = {bytes_of(network), numbers_of(result), std::move(result)};
  }
};

struct DeviceRepeatedFit : ::testing::TestWithParam<Products> {
  DeviceRepeatedFit() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~DeviceRepeatedFit() override { unsetenv("GRAFT_CUDNN_CACHE"); }
};
INSTANTIATE_TEST_SUITE_P(Products, DeviceRepeatedFit,
                         ::testing::Values(Products::own, Products::libraries),
                         [](const auto& which) {
                           return which.param == Products::own ? "own" : "libraries";
                         });

TEST_P(DeviceRepeatedFit, GivesTheBitsOfStepsQueuedAnew) {
  for (const Case& tried : cases()) {
    SCOPED_TRACE(tried.name);
    const test::TestDevice opened(GetParam());
    const RepeatedRun anew(tried, false), repeated(tried, true);
    EXPECT_EQ(repeated.outcome.metrics, anew.outcome.metrics);
    EXPECT_EQ(repeated.outcome.model, anew.outcome.model);
    EXPECT_EQ(repeated.notes, anew.notes);
    EXPECT_EQ(anew.outcome.result.repeated_steps, 0);
    // The first and the recorded one are not repeats; the recording comes a step later where a
    // prefix's took a block that it needs.
    const int64_t full = 3 * (25 / tried.recipe.batch), most = tried.looks ? 0 : full - 2;
    EXPECT_LE(repeated.outcome.result.repeated_steps, most);
    EXPECT_GE(repeated.outcome.result.repeated_steps,
              most - (tried.recipe.freeze == "stem" ? 1 : 0));
    if (tried.head > 1) {  // steps were left out, and steps were taken
      ASSERT_FALSE(anew.notes.empty());
      EXPECT_NE(anew.notes[0].find("skipped"), std::string::npos) << anew.notes[0];
      EXPECT_EQ(anew.notes.back().find("3 steps of epoch 3"), std::string::npos)
          << anew.notes.back();
    }
  }
}

// Own kernels take their time on the emulator: what a checkpoint must bring back is the same for
// both.
TEST_P(DeviceRepeatedFit, ResumesToTheSameBits) {
  for (const Case& tried : cases()) {
    if (tried.looks || (GetParam() == Products::own && tried.head == 1)) continue;
    SCOPED_TRACE(tried.name);
    const TemporaryFolder folder;
    const test::TestDevice opened(GetParam());
    std::atomic<bool> stop{false};
    FitOptions options{
        .folder = folder / "run", .identity = "test", .checkpoint_seconds = 0, .stop = &stop};
    options.on_epoch = [&](const EpochMetrics&) { stop = true; };
    const RepeatedRun anew(tried, false);
    EXPECT_TRUE(RepeatedRun(tried, true, options).outcome.result.interrupted);
    stop = false;
    options.on_epoch = {};
    options.resume = true;
    const RepeatedRun rest(tried, true, options);
    EXPECT_EQ(rest.outcome.metrics, anew.outcome.metrics);
    EXPECT_EQ(rest.outcome.model, anew.outcome.model);
  }
}

// One step at a time, with and without recording: what changes in between.
struct Steps {
  DroppingNetwork network;
  std::unique_ptr<Optimizer> optimizer;
  Classification task{3};
  std::unique_ptr<TrainingStep> training;
  std::vector<double> losses;
  uint64_t count = 0;

  explicit Steps(bool records) {
    network.to(kCuda);
    optimizer = make_optimizer(network.parameters(), {});
    training = std::make_unique<TrainingStep>(network, 0, task, *optimizer,
                                              StepOptions{.repeat = records});
  }
  static Batch batch(int64_t images, uint64_t seed) {
    Batch made{Tensor::empty({images, 3, 8, 8}, {.format = MemoryFormat::channels_last}),
               Tensor::empty({images}, {.dtype = DType::i64}),
               {}};
    CountedRandom random(seed, RandomPurpose::synthetic);
    fill_normal(made.x, 0, 1, random);
    for (int64_t i = 0; i < images; ++i)
      made.targets.tensors[0].mutable_data<int64_t>()[i] = (i + static_cast<int64_t>(seed)) % 3;
    return made;
  }
  void step(int64_t images, DType activations = DType::f32) {
    const Batch given = batch(images, count);
    training->set_activations(activations);
    const StepPosition position{5, 1, count};
    const double lr = 0.1 / static_cast<double>(++count);
    StepResult answer = training->run(given, lr, position);
    answer.read();
    losses.push_back(answer.loss);
  }
};

// Recorded anew for another batch size that stays, another precision, another set of frozen
// parameters, weights at another place.
TEST_P(DeviceRepeatedFit, RecordsAnewWhenTheStepIsAnother) {
  const test::TestDevice opened(GetParam());
  const auto trained = [](bool records) {
    Steps steps(records);
    const auto expect_recorded = [&](bool is) {
      EXPECT_EQ(steps.training->is_recorded(), records && is) << "step " << steps.count;
    };
    for (const int64_t images : {4, 4, 4, 2, 4}) steps.step(images);
    expect_recorded(true);
    for (const int64_t images : {2, 2, 2}) steps.step(images);
    expect_recorded(true);
    for (int i = 0; i < 4; ++i) steps.step(2, DType::bf16);
    expect_recorded(true);
    steps.network.find("conv1")->freeze();
    steps.step(2, DType::bf16);
    expect_recorded(false);
    for (int i = 0; i < 2; ++i) steps.step(2, DType::bf16);
    expect_recorded(true);
    Linear& head = static_cast<Linear&>(*steps.network.find("fc"));
    Tensor weight = head.weight();
    weight.copy_from(Tensor::full(
        weight.shape(),
        0.25));  // at its place: the recording reads it, and a 16-bit copy is made again
    Tensor filter = static_cast<Conv2d*>(steps.network.find("conv2"))->weight();
    filter.copy_from(Tensor::full(filter.shape(), 0.125));
    for (int i = 0; i < 2; ++i) steps.step(2, DType::bf16);
    expect_recorded(true);
    return std::pair(steps.losses, bytes_of(steps.network));
  };
  EXPECT_EQ(trained(true), trained(false));
}

TEST_P(DeviceRepeatedFit, ALabelThatIsNoClassIsAnErrorInARepeatToo) {
  const test::TestDevice opened(GetParam());
  Steps steps(true);
  for (int i = 0; i < 3; ++i) steps.step(4);
  Batch bad = Steps::batch(4, 1);
  bad.targets.tensors[0].mutable_data<int64_t>()[2] = 3;
  ASSERT_TRUE(steps.training->is_recorded());
  EXPECT_THROW(steps.training->run(bad, 0.1), Error);
  steps.step(4);
}

// Results are the caller's; another size in between, weights that were written, a network that
// moved.
TEST_P(DeviceRepeatedFit, RunsPlansAgainToTheSameBits) {
  const test::TestDevice opened(GetParam());
  for (const DType precision : {DType::f32, DType::bf16}) {
    const auto run_all = [&](bool repeats) {
      const auto network = small_network(3);
      network->train(false);
      network->to(kCuda);
      PrefixRunner run(*network, network->stages().size(), precision);
      run.repeat(repeats);
      std::vector<Tensor> results;
      const auto run_on = [&](std::vector<int64_t> sizes, bool is_recorded) {
        for (const int64_t images : sizes)
          results.push_back(run(Steps::batch(images, results.size()).x));
        EXPECT_EQ(run.is_recorded(), repeats && is_recorded) << results.size();
      };
      run_on({4, 2, 4, 4, 3, 4}, true);
      run_on({2, 2}, false);
      run_on({2}, true);
      run_on({1, 1, 1, 1}, true);
      Tensor bias = static_cast<Linear*>(network->find("fc"))->bias();
      bias.copy_from(Tensor::full(bias.shape(), 3));
      run_on({1}, false);
      run_on({1, 1}, true);
      std::vector<std::vector<double>> values;
      for (const Tensor& result : results) values.push_back(result.to_doubles());
      return values;
    };
    EXPECT_EQ(run_all(true), run_all(false)) << name_of(precision);
  }
}

TEST(DeviceRepeatedStep, IsSwitchedOffByTheEnvironment) {
  const test::TestDevice opened;
  setenv("GRAFT_CUDA_GRAPH", "0", 1);
  Steps steps(true);
  for (int i = 0; i < 4; ++i) steps.step(4);
  unsetenv("GRAFT_CUDA_GRAPH");
  EXPECT_FALSE(steps.training->is_recorded());
  EXPECT_EQ(steps.training->repeats(), 0);
}

}  // namespace
}  // namespace graft::train
