// A whole training step of a small residual network on the fake GPU: equal to the CPU's, captured as a graph, and with every
// call of the driver failing once.
#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/functional/optimizer_step.h"
#include "graft/tests/kernels/cuda/emulated_device.h"

namespace graft {
namespace {

using test::kCuda;

struct Sizes {
  int64_t images = 4, channels = 8, extent = 8, classes = 5;
};

// conv, norm + ReLU, max-pool, conv, norm + residual + ReLU, global average, linear.
struct Network {
  Tensor stem, stem_weight, stem_bias, conv, conv_weight, conv_bias, head, head_bias;       // parameters
  Tensor stem_mean, stem_variance, conv_mean, conv_variance;                                // running statistics
  DType dtype;

  Network(const Sizes& s, Device device, DType dtype_) : dtype(dtype_) {
    uint64_t stream = 10;
    const auto make = [&](const Shape& shape, double low, double high) {
      return to_device(test::distinct_values(shape, low, high, ++stream).to(DType::f32).to(MemoryFormat::channels_last), device);
    };
    const int64_t c = s.channels;
    stem = make({c, 3, 3, 3}, -0.4, 0.4), stem_weight = make({c}, 0.5, 1.5), stem_bias = make({c}, -0.2, 0.2);
    conv = make({c, c, 3, 3}, -0.3, 0.3), conv_weight = make({c}, 0.5, 1.5), conv_bias = make({c}, -0.2, 0.2);
    head = make({s.classes, c}, -0.5, 0.5), head_bias = make({s.classes}, -0.1, 0.1);
    for (Tensor* t : {&stem_mean, &stem_variance, &conv_mean, &conv_variance}) *t = Tensor::full({c}, 0.5, {.device = device});
    for (const Tensor& p : parameters()) set_requires_grad(p, true);
  }
  std::vector<Tensor> parameters() const { return {stem, stem_weight, stem_bias, conv, conv_weight, conv_bias, head, head_bias}; }
  std::vector<Tensor> statistics() const { return {stem_mean, stem_variance, conv_mean, conv_variance}; }

  Tensor loss(const Tensor& images, const Tensor& labels) const {
    using namespace functional;
    const BatchNormOptions training{.training = true, .relu = true};
    Tensor x = functional::conv(images, stem, {}, {ops::square_window(3, 1, 1)});
    x = batch_norm(x, stem_weight, stem_bias, stem_mean, stem_variance, training);
    x = max_pool(x, {ops::square_window(3, 2, 1)});
    const Tensor y = functional::conv(x, conv, {}, {ops::square_window(3, 1, 1)});
    x = batch_norm(y, conv_weight, conv_bias, conv_mean, conv_variance, training, x);
    x = flatten(global_average_pool(x));
    if (dtype != DType::f32) return cross_entropy(linear(x, head.to(dtype), head_bias.to(dtype)), labels);
    return cross_entropy(linear(x, head, head_bias), labels);
  }
};

struct Batch {
  Tensor images, labels;
  Batch(const Sizes& s, Device device, DType dtype) {
    images = to_device(test::distinct_values({s.images, 3, s.extent, s.extent}, -1, 1, 5).to(dtype).to(MemoryFormat::channels_last), device);
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < s.images; ++i) classes.push_back(i * 2 % s.classes);
    labels = to_device(Tensor::of<int64_t>({s.images}, classes), device);
  }
};

// Forward, backward and an SGD step with momentum; the step's numbers and slots live outside.
struct Trainer {
  Network network;
  std::vector<Tensor> slots;
  Tensor numbers;
  explicit Trainer(const Sizes& sizes) : network(sizes, kCuda, DType::f32), numbers(to_device(Tensor::of<float>({ops::kOptimizerNumbers}, {0.1f, 1, 1, 1}), kCuda)) {
    for (const Tensor& p : network.parameters()) slots.push_back(Tensor::zeros_like(p));
  }
  Tensor step(const Batch& batch) {
    for (const Tensor& p : network.parameters()) set_grad(p, {});
    const Tensor loss = network.loss(batch.images, batch.labels);
    backward(loss);
    std::vector<ops::OptimizerParameter> list;
    const std::vector<Tensor> parameters = network.parameters();
    for (size_t i = 0; i < parameters.size(); ++i) list.push_back({parameters[i], grad_of(parameters[i]), slots[i], {}, {}});
    functional::optimizer_step(list, numbers, {.momentum = 0.9f, .max_norm = 5});
    return loss;
  }
};

double error_of(const Tensor& actual, const Tensor& expected) { return test::relative_error(actual.to_doubles(), expected.to_doubles()); }

// With graft's own products and with those of cuDNN and cuBLASLt; plans are not kept on disk here.
struct CudaTrainingStep : ::testing::TestWithParam<bool> {
  CudaTrainingStep() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~CudaTrainingStep() override { unsetenv("GRAFT_CUDNN_CACHE"); }
  cuda::emulator::FakeDnnState dnn;
  cuda::emulator::FakeBlasState blas;
  test::Libraries libraries() { return GetParam() ? test::Libraries(&dnn, &blas) : test::Libraries(); }
};
INSTANTIATE_TEST_SUITE_P(Convolutions, CudaTrainingStep, ::testing::Bool(), [](const auto& which) { return which.param ? "libraries" : "own"; });

TEST_P(CudaTrainingStep, IsTheCpusStep) {
  const Sizes sizes;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    test::EmulatedDevice emulated(libraries());
    const Network host(sizes, {}, DType::f32), device(sizes, kCuda, dtype);
    const Batch host_batch(sizes, {}, DType::f32), device_batch(sizes, kCuda, dtype);
    const Tensor expected = host.loss(host_batch.images, host_batch.labels), loss = device.loss(device_batch.images, device_batch.labels);
    backward(expected);
    backward(loss);
    EXPECT_NEAR(loss.item(), expected.item(), dtype == DType::f32 ? 1e-5 : 2e-2);
    for (size_t i = 0; i < host.statistics().size(); ++i)
      EXPECT_LE(error_of(device.statistics()[i], host.statistics()[i]), dtype == DType::f32 ? 1e-5 : 1e-2);
    if (dtype != DType::f32) continue;  // gradients of 16-bit activations: the OpCases compare each kernel's
    for (size_t i = 0; i < host.parameters().size(); ++i)
      EXPECT_LE(error_of(grad_of(device.parameters()[i]), grad_of(host.parameters()[i])), 1e-3) << "gradient " << i;
  }
}

// The same bits: captured once and run again, or queued anew at each step. And the numbers can change between runs.
TEST_P(CudaTrainingStep, RunsAgainAsAGraph) {
  const Sizes sizes{2, 4, 4, 3};
  test::EmulatedDevice emulated(libraries());
  Trainer queued(sizes), captured(sizes);
  const Batch batch(sizes, kCuda, DType::f32);
  queued.step(batch);
  captured.step(batch);
  for (const Tensor& p : captured.network.parameters()) set_grad(p, {});
  Tensor loss;
  gpu::Graph graph(emulated.device(), [&] { loss = captured.step(batch); });
  for (const float rate : {0.1f, 0.05f, 0.2f}) {
    const Tensor numbers = Tensor::of<float>({ops::kOptimizerNumbers}, {rate, 1, 1, 1});
    queued.numbers.copy_from(numbers);
    captured.numbers.copy_from(numbers);
    const int64_t allocated = emulated.device().pool().stats().system_calls;
    graph.launch();
    EXPECT_EQ(emulated.device().pool().stats().system_calls, allocated);
    EXPECT_EQ(loss.item(), queued.step(batch).item());
  }
  for (size_t i = 0; i < captured.slots.size(); ++i)
    EXPECT_EQ(captured.network.parameters()[i].to_doubles(), queued.network.parameters()[i].to_doubles()) << "parameter " << i;
}

// What a captured piece of work may not do says so, and the stream is usable afterwards.
TEST(CudaCapture, RefusesToWait) {
  test::EmulatedDevice emulated;
  const Tensor x = Tensor::full({4}, 3, {.device = kCuda});
  EXPECT_THROW(gpu::Graph(emulated.device(), [&] { x.item(); }), Error);
  EXPECT_THROW(gpu::Graph(emulated.device(), [&] { to_device(Tensor::zeros({4}), kCuda); }), Error);
  try {
    gpu::Graph(emulated.device(), [&] { functional::relu(Tensor::empty({1 << 20}, {.device = kCuda})); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("run the step once before it is captured"), std::string::npos) << error.what();
  }
  EXPECT_EQ(functional::relu(x).to_doubles(), (std::vector<double>{3, 3, 3, 3}));
}

// One run of everything: opening, data, a step, a captured step, reading the loss.
void run_all(cuda::emulator::FakeDriver& driver) {
  cuda::Backend backend(driver);
  const Sizes sizes{2, 4, 4, 3};
  Trainer trainer(sizes);
  const Batch batch(sizes, kCuda, DType::f32);
  trainer.step(batch).item();
  for (const Tensor& p : trainer.network.parameters()) set_grad(p, {});
  Tensor loss;
  gpu::Graph graph(backend.device(0), [&] { loss = trainer.step(batch); });
  graph.launch();
  loss.item();
}

// Every call fails once, in both ways: an Error that names the device, nothing leaked, nothing hung, no later call of a lost
// device.
TEST_P(CudaTrainingStep, SurvivesAFailureOfEveryCall) {
  int64_t calls = 0;
  {
    cuda::emulator::FakeDriver driver;
    if (GetParam()) driver.provide_dnn(dnn), driver.provide_blas(blas);
    driver.skip_kernels();
    run_all(driver);
    calls = driver.calls();
    EXPECT_EQ(driver.live_objects(), 0);
  }
  ASSERT_GT(calls, 100);
  using Code = gpu::Status::Code;
  for (const Code code : {Code::out_of_memory, Code::failed, Code::lost}) {
    int64_t errors = 0;
    for (int64_t n = 0; n < calls; ++n) {
      cuda::emulator::FakeDriver driver;
      if (GetParam()) driver.provide_dnn(dnn), driver.provide_blas(blas);
      driver.skip_kernels();
      driver.fail_call(n, code);
      try {
        run_all(driver);
      } catch (const Error& error) {
        ++errors;
        EXPECT_EQ(error.code(), ErrorCode::resource) << error.what();
        EXPECT_TRUE(std::string_view(error.what()).starts_with("cuda:0: ")) << error.what();
      }
      ASSERT_EQ(dnn.live_plans, 0) << "call " << n;
      if (code != Code::lost) ASSERT_EQ(driver.live_objects(), 0) << "call " << n;
      else ASSERT_LE(driver.calls(), n + 2) << "a lost device is asked again";
    }
    // Allocations are tried again when the cache could help, and what is given back at the end is not worth an error.
    EXPECT_GT(errors, calls / 2);
  }
}

}  // namespace
}  // namespace graft
