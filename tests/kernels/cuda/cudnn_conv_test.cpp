// Convolution on cuDNN's plans, with the fake behind them: the passes' tensors, plans kept and
// dropped, and what happens when cuDNN refuses.
#include <gtest/gtest.h>

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/kernels/cuda/gpu/pool.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/conv.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/kernels/cuda/product_cases.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

using cuda::emulator::FakeDnnState;
using cudnn::ConvGraph;
using cudnn::PlanCache;
using ops::ConvAttributes;
using ops::square_window;
using test::conv_case;
using test::EmulatedDevice;
using test::kCuda;
using test::OpCase;

// No plans on disk, unless a test wants them.
struct CudnnConv : ::testing::Test {
  CudnnConv() { setenv("GRAFT_CUDNN_CACHE", "off", 1); }
  ~CudnnConv() override { unsetenv("GRAFT_CUDNN_CACHE"); }
};

TEST_F(CudnnConv, AgreesWithTheReference) {
  ConvAttributes uneven{square_window(3, 1, 1)};
  uneven.window.stride = {2, 1, 1};
  uneven.window.pad_begin = {0, 2, 0};
  uneven.window.pad_end = {1, 0, 0};
  uneven.window.dilation = {1, 2, 1};
  for (const OpCase& op :
       {conv_case("k1", {2, 5, 3, 4}, {7, 5, 1, 1}, {}),
        conv_case("k3", {2, 3, 5, 6}, {4, 3, 3, 3}, {square_window(3, 1, 1)}, true),
        conv_case("stride2", {2, 4, 7, 6}, {3, 4, 3, 3}, {square_window(3, 2, 1)}),
        conv_case("uneven", {2, 2, 8, 9}, {3, 2, 3, 3}, uneven, true),
        conv_case("groups", {2, 6, 5, 4}, {4, 3, 3, 3}, {square_window(3, 1, 1), 2}, true)}) {
    FakeDnnState dnn;
    test::expect_device_agrees(op, [&] { return std::make_shared<EmulatedDevice>(&dnn); });
    EXPECT_EQ(dnn.executed, 3 * 3) << op.name;  // three passes in three dtypes: none went elsewhere
    EXPECT_EQ(dnn.live_plans, 0);
  }
}

// Should cuDNN not run what was made from the device's description: the first plan fails once, all
// behind it are made with the handle before they run.
TEST_F(CudnnConv, PlansAreMadeForTheHandleWhereOthersDoNotRun) {
  const OpCase op = conv_case("k3", {2, 3, 5, 6}, {4, 3, 3, 3}, {square_window(3, 1, 1)}, true);
  for (const bool asked : {false, true}) {
    if (asked) setenv("GRAFT_CUDNN_HANDLE", "1", 1);
    FakeDnnState dnn;
    dnn.needs_handle = true;
    int64_t made = 0;
    test::expect_device_agrees(op, [&] {
      const auto close = [&made](EmulatedDevice* emulated) {
        made += emulated->backend.plans(0).stats().for_handle;
        delete emulated;
      };
      return std::shared_ptr<void>(new EmulatedDevice(&dnn), close);
    });
    unsetenv("GRAFT_CUDNN_HANDLE");
    EXPECT_EQ(dnn.executed, 3 * 3);
    EXPECT_EQ(made, 3 * 3);
    EXPECT_EQ(dnn.live_plans, 0);
  }
}
// What breaks with a handle too is an Error, as ever.
TEST_F(CudnnConv, AHandleIsNoCureForABrokenEngine) {
  FakeDnnState dnn;
  dnn.breaks = [](int64_t) { return true; };
  EmulatedDevice emulated(&dnn);
  const Tensor x = to_device(Tensor::zeros({1, 3, 4, 5}).to(MemoryFormat::channels_last), kCuda),
               weight = to_device(Tensor::zeros({4, 3, 1, 1}), kCuda);
  EXPECT_THROW(functional::conv(x, weight, {}, ConvAttributes{square_window(1, 1, 0)}), Error);
}

// A weight in contiguous order is brought to cuDNN's, and its gradient back.
TEST_F(CudnnConv, TakesContiguousWeights) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    FakeDnnState dnn;
    EmulatedDevice emulated(&dnn);
    const ConvAttributes attributes{square_window(3, 1, 1)};
    const Tensor x =
        test::distinct_values({1, 3, 4, 5}, -1, 1, 1).to(dtype).to(MemoryFormat::channels_last);
    const Tensor dy =
        test::distinct_values({1, 2, 4, 5}, -1, 1, 2).to(dtype).to(MemoryFormat::channels_last);
    const auto gradient = [&](Device device, const Tensor& x_there, const Tensor& dy_there) {
      Tensor dweight = Tensor::empty({2, 3, 3, 3}, {.device = device});
      kernels_for<ops::ConvKernels>(x_there).backward_weight(
          current_context(), {x_there, dy_there, attributes, &dweight, nullptr});
      return dweight.to_doubles();
    };
    const std::vector<double> expected = gradient({}, x.to(DType::f32), dy.to(DType::f32));
    EXPECT_LE(
        test::relative_error(gradient(kCuda, to_device(x, kCuda), to_device(dy, kCuda)), expected),
        dtype == DType::f32 ? 1e-6 : 1e-2);
    EXPECT_EQ(dnn.executed, 1);
  }
}

// One graph with bias, residual and activation; devices without cuDNN run graft's own kernel.
TEST_F(CudnnConv, PlansRunTheFusedPass) {
  const Shape shape{2, 4, 5, 6};
  const Tensor x =
      test::distinct_values(shape, -1, 1, 1).to(DType::f32).to(MemoryFormat::channels_last);
  const Tensor weight = test::distinct_values({4, 4, 3, 3}, -0.5, 0.5, 2).to(DType::f32),
               bias = test::distinct_values({4}, -1, 1, 3).to(DType::f32);
  const Tensor residual =
      test::distinct_values(shape, -3, 9, 4).to(DType::f32).to(MemoryFormat::channels_last);
  for (const auto activation :
       {ops::FusedActivation::none, ops::FusedActivation::relu, ops::FusedActivation::relu6})
    for (const bool with_dnn : {true, false}) {
      const ops::FusedConvAttributes attributes{{square_window(3, 1, 1)}, activation};
      const auto run = [&](Device device) {
        const Tensor x_there = to_device(x, device), w = to_device(weight, device),
                     b = to_device(bias, device), r = to_device(residual, device);
        Tensor y = Tensor::empty_like(x_there);
        kernels_for<ops::FusedConvKernels>(x_there).forward(
            current_context(), {x_there, w, nullptr, &b, &r, attributes, y});
        return y.to_doubles();
      };
      const std::vector<double> expected = run({});
      FakeDnnState dnn;
      EmulatedDevice emulated(with_dnn ? &dnn : nullptr);
      EXPECT_LE(test::relative_error(run(kCuda), expected), 1e-6);
      EXPECT_EQ(dnn.executed, with_dnn ? 1 : 0);
    }
}

ConvGraph graph_number(int64_t filters) {
  ConvGraph graph;
  graph.n = 1, graph.c = graph.h = graph.w = graph.p = graph.q = 4, graph.k = filters,
  graph.r = graph.s = 1;
  return graph;
}

TEST_F(CudnnConv, PlansAreBuiltOnceAndBounded) {
  FakeDnnState dnn;
  EmulatedDevice emulated(&dnn);
  PlanCache plans(emulated.device(), {.rules = {}, .folder = "", .most_plans = 3});
  for (const int64_t k : {1, 2, 3, 1, 1}) ASSERT_TRUE(plans.find(graph_number(k)));
  EXPECT_EQ(dnn.built, 3);
  ASSERT_TRUE(plans.find(graph_number(4)));  // 2 was used longest ago
  EXPECT_EQ(dnn.live_plans, 3);
  ASSERT_TRUE(plans.find(graph_number(1)));
  EXPECT_EQ(dnn.built, 4);
  ASSERT_TRUE(plans.find(graph_number(2)));
  EXPECT_EQ(dnn.built, 5);
  EXPECT_EQ(plans.stats().evicted, 2);
}

TEST_F(CudnnConv, PlansOfCapturedGraphsStay) {
  FakeDnnState dnn;
  EmulatedDevice emulated(&dnn);
  PlanCache plans(emulated.device(), {.rules = {}, .folder = "", .most_plans = 2});
  plans.find(graph_number(1));
  gpu::Graph graph(emulated.device(), [&] { plans.find(graph_number(1)); });
  for (const int64_t k : {2, 3, 4, 5}) plans.find(graph_number(k));
  const int64_t built = dnn.built;
  plans.find(graph_number(1));
  EXPECT_EQ(dnn.built, built);
}

TEST_F(CudnnConv, PlansAreKeptOnDisk) {
  const TemporaryFolder folder;
  FakeDnnState dnn;
  EmulatedDevice emulated(&dnn);
  const auto look = [&](const ConvGraph& graph, bool tf32) {
    PlanCache plans(emulated.device(),
                    {.rules = {.tf32 = tf32}, .folder = folder.path(), .most_files = 3});
    EXPECT_TRUE(plans.find(graph));
    return plans.stats();
  };
  EXPECT_EQ(look(graph_number(1), false).built, 1);
  EXPECT_EQ(look(graph_number(1), false).restored, 1);
  EXPECT_EQ(look(graph_number(2), false).built, 1);  // another graph
  EXPECT_EQ(look(graph_number(1), true).built, 1);   // other rules
  std::vector<DirectoryEntry> files = file_system().list(folder.path());
  ASSERT_EQ(files.size(), 3u);
  for (const DirectoryEntry& file : files) {  // damaged: built anew and written again
    const std::string path = join_path(folder.path(), file.name);
    const std::string text = read_text_file(path, 1 << 20);
    write_file_atomically(path, text.substr(0, text.size() - 3));
  }
  EXPECT_EQ(look(graph_number(2), false).built, 1);
  EXPECT_EQ(look(graph_number(7), false).built, 1);  // the folder is full: it starts again
  files = file_system().list(folder.path());
  EXPECT_EQ(files.size(), 1u);
  EXPECT_EQ(look(graph_number(7), false).restored, 1);
}

// A folder that cannot be written costs nothing but the files.
TEST_F(CudnnConv, WorksWithoutAFolder) {
  FakeDnnState dnn;
  EmulatedDevice emulated(&dnn);
  PlanCache plans(emulated.device(), {.rules = {}, .folder = "/proc/no/such/folder"});
  EXPECT_TRUE(plans.find(graph_number(1)));
}

// Of several engines the fastest, whatever cuDNN's order; kept on disk beside the unmeasured plan,
// and not measured again.
TEST_F(CudnnConv, AutotuneTakesTheFastestEngine) {
  const TemporaryFolder folder;
  FakeDnnState dnn;
  dnn.engines = 5;
  dnn.milliseconds = [](const ConvGraph& graph, int64_t engine) {
    return graph.k == 1 ? (engine == 3 ? 0.5 : 2.) : (engine == 2 ? 7. : 8.);
  };
  EmulatedDevice emulated(&dnn);
  const auto engine = [&](int64_t filters, size_t candidates, int64_t measured) {
    PlanCache plans(emulated.device(),
                    {.rules = {}, .folder = folder.path(), .candidates = candidates});
    const std::shared_ptr<const cudnn::Plan> plan = plans.find(graph_number(filters));
    EXPECT_EQ(plans.stats().measured, measured);
    return plan ? plan->engine : -1;
  };
  EXPECT_EQ(engine(1, 1, 0), 1);
  EXPECT_EQ(engine(1, 4, 1), 3);
  EXPECT_EQ(engine(2, 4, 1), 2);
  EXPECT_EQ(engine(1, 2, 1),
            1);  // the third is not among the first two; equal times: cuDNN's order
  EXPECT_EQ(engine(1, 4, 0), 3);  // from the file
  EXPECT_EQ(engine(1, 1, 0), 1);
  EXPECT_EQ(dnn.live_plans, 0);
  EXPECT_EQ(dnn.restored, 2);
}

// An engine that does not run is not taken; where nothing can be measured, cuDNN's order stays.
TEST_F(CudnnConv, AutotuneSurvivesWhatDoesNotRun) {
  FakeDnnState dnn;
  dnn.engines = 3;
  dnn.milliseconds = [](const ConvGraph&, int64_t engine) {
    return 4. - static_cast<double>(engine);
  };
  dnn.breaks = [](int64_t engine) { return engine == 3; };
  EmulatedDevice emulated(&dnn);
  PlanCache plans(emulated.device(), {.rules = {}, .folder = "", .candidates = 3});
  EXPECT_EQ(plans.find(graph_number(1))->engine, 2);
  plans.find(graph_number(2));
  gpu::Graph graph(emulated.device(), [&] { EXPECT_EQ(plans.find(graph_number(3))->engine, 1); });
  EXPECT_EQ(plans.stats().measured, 2);
  plans.set_candidates(1);
  EXPECT_EQ(plans.find(graph_number(4))->engine, 1);
  EXPECT_EQ(plans.find(graph_number(2))->engine, 2) << "what was chosen stays";
  EXPECT_EQ(plans.stats().measured, 2);
  setenv("GRAFT_CUDNN_AUTOTUNE", "1", 1);
  EXPECT_EQ(cudnn::PlanCacheOptions::from_environment().candidates,
            cudnn::PlanCacheOptions::kAutotune);
  unsetenv("GRAFT_CUDNN_AUTOTUNE");
  EXPECT_EQ(cudnn::PlanCacheOptions::from_environment().candidates, 1u);
}

TEST_F(CudnnConv, WhatNoEngineTakesRunsOnGraftsKernel) {
  FakeDnnState dnn;
  dnn.refuses = [](const ConvGraph& graph) { return graph.pass == cudnn::ConvPass::backward_data; };
  test::expect_device_agrees(
      conv_case("half", {1, 3, 5, 4}, {2, 3, 3, 3}, {square_window(3, 1, 1)}),
      [&] { return std::make_shared<EmulatedDevice>(&dnn); });
  EXPECT_EQ(dnn.executed, 2 * 3);
}

}  // namespace
}  // namespace graft
