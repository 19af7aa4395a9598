// A whole training step of a small residual network on the device: equal to the CPU's, and captured
// as a graph.
#include <gtest/gtest.h>

#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/layers/functional/unary.h"
#include "graft/tests/kernels/cuda/small_network.h"

namespace graft {
namespace {

using test::Batch;
using test::kCuda;
using test::Network;
using test::Products;
using test::Sizes;
using test::TestDevice;
using test::Trainer;

double error_of(const Tensor& actual, const Tensor& expected) {
  return test::relative_error(actual.to_doubles(), expected.to_doubles());
}

// With graft's own products and with those of cuDNN and cuBLASLt; plans are not kept on disk here.
struct CudaTrainingStep : ::testing::TestWithParam<Products> {
  CudaTrainingStep() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~CudaTrainingStep() override { unsetenv("GRAFT_CUDNN_CACHE"); }
};
INSTANTIATE_TEST_SUITE_P(Products, CudaTrainingStep,
                         ::testing::Values(Products::own, Products::libraries),
                         [](const auto& which) {
                           return which.param == Products::own ? "own" : "libraries";
                         });

TEST_P(CudaTrainingStep, IsTheCpusStep) {
  const Sizes sizes;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    TestDevice opened(GetParam());
    const Network host(sizes, {}, DType::f32), device(sizes, kCuda, dtype);
    const Batch host_batch(sizes, {}, DType::f32), device_batch(sizes, kCuda, dtype);
    const Tensor expected = host.loss(host_batch.images, host_batch.labels),
                 loss = device.loss(device_batch.images, device_batch.labels);
    backward(expected);
    backward(loss);
    EXPECT_NEAR(loss.item(), expected.item(), dtype == DType::f32 ? 1e-5 : 2e-2);
    for (size_t i = 0; i < host.statistics().size(); ++i)
      EXPECT_LE(error_of(device.statistics()[i], host.statistics()[i]),
                dtype == DType::f32 ? 1e-5 : 1e-2);
    if (dtype != DType::f32)
      continue;  // gradients of 16-bit activations: the OpCases compare each kernel's
    for (size_t i = 0; i < host.parameters().size(); ++i)
      EXPECT_LE(error_of(grad_of(device.parameters()[i]), grad_of(host.parameters()[i])), 1e-3)
          << "gradient " << i;
  }
}

// The same bits: captured once and run again, or queued anew at each step. And the numbers can
// change between runs.
TEST_P(CudaTrainingStep, RunsAgainAsAGraph) {
  const Sizes sizes{2, 4, 4, 3};
  TestDevice opened(GetParam());
  Trainer queued(sizes), captured(sizes);
  const Batch batch(sizes, kCuda, DType::f32);
  queued.step(batch);
  captured.step(batch);
  for (const Tensor& p : captured.network.parameters()) set_grad(p, {});
  Tensor loss;
  gpu::Graph graph(opened.device(), [&] { loss = captured.step(batch); });
  for (const float rate : {0.1f, 0.05f, 0.2f}) {
    const Tensor numbers = Tensor::of<float>({ops::kOptimizerNumbers}, {rate, 1, 1, 1});
    queued.numbers.copy_from(numbers);
    captured.numbers.copy_from(numbers);
    const int64_t allocated = opened.device().pool().stats().system_calls;
    graph.launch();
    EXPECT_EQ(opened.device().pool().stats().system_calls, allocated);
    EXPECT_EQ(loss.item(), queued.step(batch).item());
  }
  for (size_t i = 0; i < captured.slots.size(); ++i)
    EXPECT_EQ(captured.network.parameters()[i].to_doubles(),
              queued.network.parameters()[i].to_doubles())
        << "parameter " << i;
}

// What a captured piece of work may not do says so, and the stream is usable afterwards.
TEST(CudaCapture, RefusesToWait) {
  TestDevice opened;
  const Tensor x = Tensor::full({4}, 3, {.device = kCuda});
  EXPECT_THROW(gpu::Graph(opened.device(), [&] { x.item(); }), Error);
  EXPECT_THROW(gpu::Graph(opened.device(), [&] { to_device(Tensor::zeros({4}), kCuda); }), Error);
  try {
    gpu::Graph(opened.device(),
               [&] { functional::relu(Tensor::empty({1 << 26}, {.device = kCuda})); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("run the step once before it is captured"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(functional::relu(x).to_doubles(), (std::vector<double>{3, 3, 3, 3}));
}

}  // namespace
}  // namespace graft
