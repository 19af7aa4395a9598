// What a first contact with a GPU asks, a question a test and a process (tools/gpu_check): which
// calls of CUDA and its libraries work at all, in the order in which graft needs them.
#include <gtest/gtest.h>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/kernels/device_kernels.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/linear.h"
#include "graft/layers/functional/unary.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::kCuda;
using test::Products;
using test::TestDevice;

// Plans of this process alone: none that an earlier one left on the disk.
struct Contact : ::testing::Test {
  Contact() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~Contact() override { unsetenv("GRAFT_CUDNN_CACHE"); }
};

void expect_ok(const gpu::Status& status) { EXPECT_TRUE(status.ok()) << status.message; }

TEST_F(Contact, Device) {
  TestDevice opened;
  const gpu::Properties& gpu = opened.device().properties();
  RecordProperty("gpu", gpu.name);
  RecordProperty("capability", str(gpu.major, ".", gpu.minor));
  RecordProperty("memory_gib", str(gpu.memory_bytes >> 30));
  RecordProperty("multiprocessors", gpu.multiprocessors);
  RecordProperty("driver", gpu.driver_version);
  RecordProperty("runtime", gpu.runtime_version);
  EXPECT_GT(gpu.memory_bytes, 0);
  EXPECT_GT(gpu.multiprocessors, 0);
}

TEST_F(Contact, Pools) {
  TestDevice opened;
  gpu::Device& device = opened.device();
  RecordProperty("stream_ordered", device.properties().memory_pools ? "yes" : "no");
  gpu::Driver& driver = device.driver();
  const int64_t bytes = int64_t{1} << 20;
  void *ordered = nullptr, *plain = nullptr;
  if (device.properties().memory_pools) {
    expect_ok(driver.allocate(bytes, device.stream(), ordered));
    device.set_bytes(ordered, 1, bytes);
    expect_ok(driver.free(ordered, device.stream()));
  }
  expect_ok(driver.allocate_waiting(bytes, plain));
  device.set_bytes(plain, 1, bytes);
  expect_ok(driver.free_waiting(plain));
  device.synchronize();
}

Tensor signed_numbers() { return test::distinct_values({1000}, -1, 1, 1).to(DType::f32); }

TEST_F(Contact, Kernel) {
  TestDevice opened;
  const Tensor x = signed_numbers();
  EXPECT_EQ(functional::relu(to_device(x, kCuda)).to_doubles(), functional::relu(x).to_doubles());
}

TEST_F(Contact, Event) {
  TestDevice opened;
  gpu::Device& device = opened.device();
  gpu::Event before(device, true), behind(device, true);
  before.record(device.stream());
  Tensor block = Tensor::zeros({1 << 20}, {.device = kCuda});
  behind.record(device.stream());
  behind.synchronize();
  EXPECT_GE(behind.milliseconds_since(before), 0);
}

TEST_F(Contact, Capture) {
  TestDevice opened;
  const Tensor x = signed_numbers(), there = to_device(x, kCuda);
  Tensor y = functional::relu(there);  // now the pool has the block that the capture needs
  y = Tensor();
  gpu::Graph graph(opened.device(), [&] { y = functional::relu(there); });
  graph.launch();
  graph.launch();
  EXPECT_EQ(y.to_doubles(), functional::relu(x).to_doubles());
}

// A convolution of 16-bit images by one family of kernels, beside the CPU's in float32.
struct AskedConv {
  ops::ConvAttributes attributes;
  Tensor x, weight, bias, residual;

  explicit AskedConv(int64_t filter) : attributes{ops::square_window(filter, 1, filter / 2)} {
    const auto bf16 = [](const Shape& shape, uint64_t stream) {
      return test::distinct_values(shape, -1, 1, stream)
          .to(DType::bf16)
          .to(MemoryFormat::channels_last);
    };
    x = bf16({2, 64, 8, 8}, 1);
    residual = bf16({2, 64, 8, 8}, 2);
    weight = bf16({64, 64, filter, filter}, 3).to(DType::f32);
    bias = test::distinct_values({64}, -1, 1, 4).to(DType::f32);
  }
  enum class Pass : unsigned char { forward, backward_data, backward_weight, fused };
  std::vector<double> run(Pass pass, Device device, DType dtype, std::string_view family) const {
    ExecContext context(1);
    if (!family.empty())
      context.set_kernel_filter([family](auto, auto kernel) { return kernel == family; });
    const Tensor image = to_device(x.to(dtype), device), there = to_device(weight, device),
                 dy = to_device(residual.to(dtype), device), shift = to_device(bias, device);
    Tensor result =
        pass == Pass::backward_weight ? Tensor::empty_like(there) : Tensor::empty_like(dy);
    const ops::FusedConvAttributes with_relu{attributes, ops::FusedActivation::relu};
    const KernelSet& kernels = all_kernels_for(device);
    switch (pass) {
      case Pass::forward:
        kernels.conv.forward(context, {image, there, nullptr, attributes, result});
        break;
      case Pass::backward_data:
        kernels.conv.backward_data(context, {dy, there, attributes, result});
        break;
      case Pass::backward_weight:
        kernels.conv.backward_weight(context, {image, dy, attributes, &result, nullptr});
        break;
      case Pass::fused:
        kernels.fused_conv.forward(context,
                                   {image, there, nullptr, &shift, &dy, with_relu, result});
        break;
    }
    return result.to_doubles();
  }
  void expect_family(Pass pass, std::string_view family) const {
    EXPECT_LE(
        test::relative_error(run(pass, kCuda, DType::bf16, family), run(pass, {}, DType::f32, "")),
        1.6e-2);
  }
};

TEST_F(Contact, CudnnForward) {
  TestDevice opened(Products::libraries);
  AskedConv(3).expect_family(AskedConv::Pass::forward, "cudnn");
}
TEST_F(Contact, CudnnBackwardData) {
  TestDevice opened(Products::libraries);
  AskedConv(3).expect_family(AskedConv::Pass::backward_data, "cudnn");
}
TEST_F(Contact, CudnnBackwardWeight) {
  TestDevice opened(Products::libraries);
  AskedConv(3).expect_family(AskedConv::Pass::backward_weight, "cudnn");
}
TEST_F(Contact, FusedPlan) {
  TestDevice opened(Products::libraries);
  AskedConv(1).expect_family(AskedConv::Pass::fused, "cudnn");
}

TEST_F(Contact, PlanSaveRestore) {
  TestDevice opened(Products::libraries);
  gpu::Device& device = opened.device();
  std::unique_ptr<cudnn::Dnn> dnn;
  const gpu::Status there = device.driver().open_dnn(0, dnn);
  ASSERT_TRUE(there.ok()) << there.message;
  const AskedConv conv(1);
  const Tensor x = to_device(conv.x, kCuda), weight = to_device(conv.weight.to(DType::bf16), kCuda);
  cudnn::ConvGraph graph;
  graph.type = DType::bf16;
  graph.n = 2, graph.c = graph.k = 64, graph.h = graph.w = graph.p = graph.q = 8;
  graph.r = graph.s = 1;
  std::unique_ptr<cudnn::Plan> plan, again;
  std::string text;
  const gpu::Status built = dnn->build(graph, {}, plan);
  ASSERT_TRUE(built.ok()) << built.message;
  const gpu::Status saved = dnn->save(*plan, text);
  ASSERT_TRUE(saved.ok()) << saved.message;
  const gpu::Status restored = dnn->restore(text, again);
  ASSERT_TRUE(restored.ok()) << restored.message;
  RecordProperty("engine", again->tag);
  RecordProperty("bytes", str(text.size()));
  const auto run = [&](const cudnn::Plan& which) {
    Tensor y = Tensor::empty_like(x), workspace;
    if (which.workspace > 0)
      workspace = Tensor::empty({which.workspace}, {.dtype = DType::u8, .device = kCuda});
    const cudnn::Binding bindings[] = {{cudnn::Operand::image, const_cast<void*>(x.raw())},
                                       {cudnn::Operand::weight, const_cast<void*>(weight.raw())},
                                       {cudnn::Operand::result, y.mutable_raw()}};
    device.queue("cuDNN", [&](gpu::StreamId stream) {
      return dnn->execute(which, bindings, which.workspace > 0 ? workspace.mutable_raw() : nullptr,
                          stream);
    });
    return y.to_doubles();
  };
  EXPECT_EQ(run(*plan), run(*again));
}

TEST_F(Contact, Cublaslt) {
  TestDevice opened(Products::libraries);
  const auto matrix = [](const Shape& shape, uint64_t stream) {
    return test::distinct_values(shape, -1, 1, stream).to(DType::bf16);
  };
  const Tensor x = matrix({32, 64}, 1), weight = matrix({16, 64}, 2), bias = matrix({16}, 3);
  const std::vector<double> expected =
      functional::linear(x.to(DType::f32), weight.to(DType::f32), bias.to(DType::f32)).to_doubles();
  const Tensor there = to_device(x, kCuda), w = to_device(weight, kCuda),
               b = to_device(bias, kCuda);
  Tensor y;
  {
    ExecContext context(1);
    context.set_kernel_filter([](auto, auto kernel) { return kernel == "cublaslt"; });
    const ScopedExecContext scope(context);
    y = functional::linear(there, w, b);
  }
  EXPECT_LE(test::relative_error(y.to_doubles(), expected), 1.6e-2);
}

// On a GPU of another compute capability there is nothing to ask.
bool has_wgmma(TestDevice& opened) {
  const gpu::Properties& gpu = opened.device().properties();
  return gpu.major == 9 && gpu.minor == 0;
}
TEST_F(Contact, Wgmma) {
  TestDevice opened(Products::wgmma);
  if (!has_wgmma(opened)) GTEST_SKIP() << "the GPU is not of compute capability 9.0";
  AskedConv(1).expect_family(AskedConv::Pass::forward, "cuda_wgmma");
}
TEST_F(Contact, TmaIm2col) {
  TestDevice opened(Products::wgmma);
  if (!has_wgmma(opened)) GTEST_SKIP() << "the GPU is not of compute capability 9.0";
  AskedConv(3).expect_family(AskedConv::Pass::forward, "cuda_wgmma");
}

}  // namespace
}  // namespace graft
