// Whole training runs on the device: the CPU's history, checkpoints that go from one to the other,
// frozen tensors.
#include <gtest/gtest.h>

#include "graft/layers/modules/dropout.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/checkpoint.h"
#include "graft/train/training_step.h"

namespace graft::train {
namespace {

using test::kCuda;

Recipe device_recipe(const std::string& freeze = "none") {
  Recipe recipe = small_recipe(freeze);
  recipe.epochs = 2;
  return recipe;
}

struct RunOfDevice {
  std::unique_ptr<SmallNetwork> network = small_network();
  FitResult result;
};

RunOfDevice run_on(Device device, const Recipe& recipe, const FitOptions& options = {}) {
  RunOfDevice run;
  run.network->to(device);
  run.result = fit(*run.network, small_data(), pattern_preprocess(8), recipe, options);
  EXPECT_EQ(run.network->device(), device);
  return run;
}

void expect_near(const FitResult& actual, const FitResult& expected, double loss,
                 const std::string& what) {
  ASSERT_EQ(actual.history.size(), expected.history.size()) << what;
  for (size_t i = 0; i < expected.history.size(); ++i) {
    EXPECT_NEAR(actual.history[i].loss, expected.history[i].loss, loss)
        << what << ", epoch " << i + 1;
    EXPECT_NEAR(actual.history[i].val.at(0).value, expected.history[i].val.at(0).value, 0.1)
        << what << ", epoch " << i + 1;
    EXPECT_EQ(actual.history[i].lr, expected.history[i].lr) << what;
  }
}

double largest_difference(const StateDict& a, const StateDict& b) {
  double largest = 0;
  for (const auto& [name, tensor] : a) {
    const std::vector<double> x = tensor.to_doubles(), y = b.at(name).to_doubles();
    for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  }
  return largest;
}

TEST(DeviceFit, GivesTheCpusHistory) {
  for (const char* freeze : {"none", "stem", "backbone"}) {
    const RunOfDevice host = run_on({}, device_recipe(freeze));
    test::TestDevice opened;
    const RunOfDevice device = run_on(kCuda, device_recipe(freeze));
    expect_near(device.result, host.result, 1e-3, freeze);
    EXPECT_LT(largest_difference(device.network->state_dict(), host.network->state_dict()), 5e-3)
        << freeze;
    EXPECT_EQ(device.result.frozen_sha256, host.result.frozen_sha256) << freeze;
    EXPECT_EQ(device.result.frozen_sha256.empty(), std::string(freeze) == "none");
    EXPECT_EQ(device.result.cached_stages, host.result.cached_stages);
  }
}

TEST(DeviceFit, EveryOptimizerStatisticsAndMicroBatches) {
  for (const char* optimizer : {"adam", "adamw"}) {
    Recipe recipe = device_recipe("..layer1");
    recipe.epochs = 1;
    recipe.optimizer = {.name = optimizer};
    recipe.lr = 1e-3;
    recipe.batch_norm = optimizer == std::string("adam") ? "adapt" : "train";
    recipe.augment = "none";
    recipe.step = {4, optimizer == std::string("adam")};  // micro-batches, and recomputation
    const RunOfDevice host = run_on({}, recipe);
    test::TestDevice opened;
    const RunOfDevice device = run_on(kCuda, recipe);
    expect_near(device.result, host.result, 1e-3, optimizer);
  }
}

// bfloat16 differs in its third digit.
TEST(DeviceFit, TrainsInBfloat16) {
  Recipe recipe = device_recipe();
  const RunOfDevice host = run_on({}, recipe);
  recipe.precision = "bf16";
  test::TestDevice opened;
  const RunOfDevice device = run_on(kCuda, recipe);
  expect_near(device.result, host.result, 5e-2, "bf16");
  EXPECT_NE(device.result.history[0].loss, host.result.history[0].loss);
}

// A run of one device, stopped after an epoch, ends on the other; and its checkpoint is in host
// order either way.
TEST(DeviceFit, CheckpointsGoFromDeviceToDevice) {
  for (const bool starts_on_cpu : {true, false}) {
    const TemporaryFolder folder;
    std::atomic<bool> stop{false};
    std::vector<std::string> notes;
    FitOptions options{
        .folder = folder / "run", .identity = "test", .checkpoint_seconds = 0, .stop = &stop};
    options.on_note = [&](const std::string& note) { notes.push_back(note); };
    options.on_epoch = [&](const EpochMetrics&) { stop = true; };
    test::TestDevice opened;
    const Device first = starts_on_cpu ? Device{} : kCuda,
                 second = starts_on_cpu ? kCuda : Device{};
    const FitResult whole = run_on({}, device_recipe()).result;
    EXPECT_TRUE(run_on(first, device_recipe(), options).result.interrupted);
    const Checkpoint kept =
        load_checkpoint(folder / "run/last.ckpt.safetensors", Classification(3));
    EXPECT_EQ(kept.instruction_set == "cuda", !starts_on_cpu);
    for (const auto& [name, tensor] : kept.model)
      EXPECT_EQ(tensor.format(), MemoryFormat::contiguous) << name;
    options.resume = true;
    options.on_epoch = {};
    stop = false;
    const RunOfDevice rest = run_on(second, device_recipe(), options);
    expect_near(rest.result, whole, 1e-3, "resumed");
    EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [](const std::string& note) {
      return note.find("bits may differ") != std::string::npos;
    }));
  }
}

TEST(DeviceFit, EvaluatesAndPredictsAsTheCpu) {
  const auto network = small_network(3);
  network->train(false);
  const io::OpenedData data = small_data();
  const Evaluation host = evaluate(*network, data.val, pattern_preprocess(8), 3);
  Tensor x = Tensor::empty({5, 3, 8, 8}, {.format = MemoryFormat::channels_last});
  CountedRandom random(4, RandomPurpose::synthetic);
  fill_normal(x, 0, 1, random);
  PrefixRunner run(*network, network->stages().size());
  const std::vector<double> expected = run(x).to_doubles();
  test::TestDevice opened;
  network->to(kCuda);
  EXPECT_EQ(evaluate(*network, data.val, pattern_preprocess(8), 3).rows(), host.rows());
  const Tensor answers = run(x);  // the same runner: its plan is of the former tensors
  EXPECT_EQ(answers.device(), kCuda);
  EXPECT_EQ(run.refusal(), "");
  EXPECT_LE(test::relative_error(answers.to_doubles(), expected), 1e-5);
  for (const DType precision : {DType::bf16, DType::f16}) {
    PrefixRunner half(*network, network->stages().size(), precision);
    EXPECT_LE(test::relative_error(half(x).to_doubles(), expected), 3e-2) << name_of(precision);
    EXPECT_EQ(half.refusal(), "") << name_of(precision);
  }
  network->to(Device{});
  EXPECT_EQ(run(x).to_doubles(), expected);
}

TEST(DeviceFit, RefusesWhatOnlyTheCpuDoes) {
  test::TestDevice opened;
  const auto network = small_network();
  network->to(kCuda);
  EXPECT_THROW(fit(*network, small_data(), pattern_preprocess(8), device_recipe(),
                   {.ram = int64_t{1} << 30}),
               Error);
  EXPECT_THROW(calibrate(*network, small_data().train, pattern_preprocess(8)), Error);
}

// Nobody on the device looks at labels: a wrong one is met on the way there.
TEST(DeviceFit, ALabelThatIsNoClassIsAnError) {
  test::TestDevice opened;
  const auto network = small_network();
  network->to(kCuda);
  const Batch batch{Tensor::zeros({2, 3, 8, 8}, {.format = MemoryFormat::channels_last}),
                    Tensor::of<int64_t>({2}, {0, 3}),
                    {0, 1}};
  EXPECT_THROW(add_gradients(*network, 0, Classification(3), batch, {}), Error);
}

TEST(DeviceModule, MovesThereAndBack) {
  test::TestDevice opened;
  const auto network = small_network();
  const std::string before = bytes_of(*network);
  const Tensor kept = network->parameters()[0].tensor;
  const uint64_t version = kept.version();
  const Tensor* place = &static_cast<Conv2d*>(network->find("conv1"))->weight();
  network->to(kCuda);
  EXPECT_EQ(place, &static_cast<Conv2d*>(network->find("conv1"))->weight());
  EXPECT_EQ(place->device(), kCuda);
  EXPECT_EQ(place->format(), MemoryFormat::channels_last);
  EXPECT_TRUE(requires_grad(*place));
  EXPECT_GT(kept.version(), version) << "what was made of the former tensor is stale";
  for (const auto& [name, tensor] : network->state_dict())
    EXPECT_EQ(is_cpu(tensor.device()), !is_floating(tensor.dtype())) << name;
  const auto other = small_network(9);
  network->load_state_dict(other->state_dict());
  EXPECT_EQ(largest_difference(network->state_dict(), other->state_dict()), 0);
  other->load_state_dict(network->state_dict());
  network->load_state_dict(small_network()->state_dict());
  network->to(Device{});
  EXPECT_EQ(bytes_of(*network), before);
}

}  // namespace
}  // namespace graft::train
