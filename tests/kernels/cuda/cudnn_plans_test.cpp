// cuDNN itself accepts the graphs that graft gives it, for an H200 that a JSON file describes: no
// GPU is needed, only cuDNN 9. Every graph of ResNet-50 whose engines are there precompiled, and
// one layer of each kind that is compiled when asked for.
#include <dlfcn.h>
#include <gtest/gtest.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "graft/core/base/file_system.h"
#include "graft/kernels/cuda/cudnn/api.h"
#include "graft/kernels/cuda/cudnn/backend.h"
#include "graft/kernels/cuda/cudnn/conv_operations.h"
#include "graft/tests/kernels/cuda/conv_layers.h"

namespace graft {
namespace {

using cudnn::ConvGraph;
using cudnn::Plan;
using cudnn::PlanRules;
using test::ConvLayer;

constexpr int64_t kBatch = 256;
constexpr int64_t kMostWorkspace = int64_t{1} << 30;

struct CudnnPlans : ::testing::Test {
#ifdef __SANITIZE_ADDRESS__  // cuDNN's run-time compiler gives its memory back to nobody
  CudnnPlans() { __lsan_disable(); }
  ~CudnnPlans() override { __lsan_enable(); }
#endif
  void SetUp() override {
    // Before cuDNN looks for the driver: a stub that hands out dummies for loaded kernels. By its
    // name it is libcuda.so.1.
    ASSERT_TRUE(dlopen(GRAFT_DRIVER_STUB, RTLD_NOW | RTLD_GLOBAL)) << dlerror();
    std::string why;
    if (!cudnn::api::library(why)) GTEST_SKIP() << why;
    const std::string json =
        read_text_file(std::string(GRAFT_TEST_DATA) + "/gpu/h200.json", 1 << 16);
    const gpu::Status status = cudnn::open_cudnn_described(json, dnn);
    ASSERT_TRUE(status.ok()) << status.message;
  }

  // The plan, or null after a failure that names the graph.
  std::unique_ptr<Plan> build(const ConvGraph& graph, const PlanRules& rules = {}) {
    std::unique_ptr<Plan> plan;
    const gpu::Status status = dnn->build(graph, rules, plan);
    EXPECT_TRUE(status.ok()) << graph.text() << ", " << rules.text() << ": " << status.message;
    if (plan) {
      EXPECT_LE(plan->workspace, rules.workspace_limit) << graph.text();
    }
    return plan;
  }

  std::unique_ptr<cudnn::Dnn> dnn;
};

TEST_F(CudnnPlans, Resnet50TrainsOnPrecompiledEngines) {
  for (const DType type : {DType::f32, DType::bf16, DType::f16})
    for (const bool tf32 : {false, true}) {
      if (tf32 && type != DType::f32) continue;
      const std::vector<ConvLayer> layers = test::conv_layers("resnet50", kBatch, type);
      ASSERT_GE(layers.size(), 20u);
      const PlanRules rules{
          .tf32 = tf32,
          .deterministic = true,
          .workspace_limit = tf32 || type != DType::f32 ? kMostWorkspace : 4 * kMostWorkspace};
      for (const ConvLayer& layer : layers) {
        std::vector<ConvGraph> graphs{layer.forward, test::backward_weight(layer, type)};
        if (!layer.first) graphs.push_back(test::backward_data(layer));
        for (const ConvGraph& graph : graphs)
          if (const auto plan = build(graph, rules)) {
            EXPECT_FALSE(plan->compiled) << graph.text();
          }
      }
    }
}

// A layer with bias and ReLU and one with a residual too; of MobileNetV2 one with relu6 and a
// depthwise one.
TEST_F(CudnnPlans, FusedGraphsAreCompiled) {
  for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
    bool done[2] = {};
    for (const ConvLayer& layer : test::conv_layers("resnet50", kBatch, type)) {
      bool& seen = done[layer.inference.residual];
      if (layer.first || seen || layer.inference.activation != cudnn::Activation::relu) continue;
      seen = true;
      const auto plan = build(layer.inference);
      if (plan && type != DType::f32) {
        EXPECT_TRUE(plan->compiled) << layer.inference.text();
      }
    }
    EXPECT_TRUE(done[0] && done[1]);
  }
}

TEST_F(CudnnPlans, MobileNetsLayers) {
  const std::vector<ConvLayer> layers = test::conv_layers("mobilenet_v2", kBatch, DType::bf16);
  const auto depthwise = std::find_if(layers.begin(), layers.end(),
                                      [](const ConvLayer& l) { return l.forward.groups > 1; });
  const auto relu6 = std::find_if(layers.begin(), layers.end(), [](const ConvLayer& l) {
    return !l.first && l.inference.activation == cudnn::Activation::relu6 && l.forward.groups == 1;
  });
  ASSERT_TRUE(depthwise != layers.end() && relu6 != layers.end());
  for (const ConvGraph& graph : {depthwise->forward, test::backward_data(*depthwise),
                                 test::backward_weight(*depthwise, DType::bf16), relu6->inference})
    build(graph);
}

TEST_F(CudnnPlans, WeightGradientsCanBeWidened) {
  for (const DType type : {DType::bf16, DType::f16})
    build(test::backward_weight(test::conv_layers("resnet50", kBatch, type)[1], DType::f32));
}

// The rules bind: what they exclude is refused or replaced, never taken all the same.
TEST_F(CudnnPlans, RulesAreKept) {
  const ConvLayer layer = test::conv_layers("resnet50", kBatch, DType::f32)[2];  // 3x3
  const auto exact = build(layer.forward, {.tf32 = false}),
             rounded = build(layer.forward, {.tf32 = true});
  ASSERT_TRUE(exact && rounded);
  EXPECT_NE(exact->engine, rounded->engine);
  const int64_t wanted = build(layer.forward, {.workspace_limit = 4 * kMostWorkspace})->workspace;
  if (wanted > 0) {
    std::unique_ptr<Plan> plan;
    const gpu::Status status = dnn->build(layer.forward, {.workspace_limit = wanted - 1}, plan);
    EXPECT_TRUE(status.ok() ? plan->workspace < wanted
                            : status.message.find("workspace") != std::string::npos)
        << status.message;
  }
}

TEST_F(CudnnPlans, AreSavedAndRestored) {
  const ConvLayer layer = test::conv_layers("resnet50", kBatch, DType::bf16)[2];
  for (const ConvGraph& graph : {layer.forward, layer.inference}) {
    const auto plan = build(graph);
    ASSERT_TRUE(plan);
    std::string text, again;
    ASSERT_TRUE(dnn->save(*plan, text).ok());
    std::unique_ptr<Plan> restored;
    const gpu::Status status = dnn->restore(text, restored);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(restored->engine, plan->engine);
    EXPECT_EQ(restored->tag, plan->tag);
    EXPECT_EQ(restored->workspace, plan->workspace);
    EXPECT_EQ(restored->compiled, plan->compiled);
    ASSERT_TRUE(dnn->save(*restored, again).ok());
    EXPECT_EQ(again, text);
    for (const std::string& damaged :
         {std::string(), std::string("nonsense"), text.substr(0, text.size() / 2),
          std::string("1 eng1 0\n{}")}) {
      restored.reset();
      EXPECT_FALSE(dnn->restore(damaged, restored).ok());
      EXPECT_FALSE(restored);
    }
  }
}

// What cuDNN does not know comes back as a reason, not as an exception or a crash.
TEST_F(CudnnPlans, SaysWhyAGraphIsRefused) {
  ConvGraph graph = test::conv_layers("resnet50", 1, DType::f32)[1].forward;
  graph.p += 1;  // no such convolution
  std::unique_ptr<Plan> plan;
  const gpu::Status status = dnn->build(graph, {}, plan);
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(plan);
  EXPECT_FALSE(status.message.empty());
  std::unique_ptr<cudnn::Dnn> none;
  EXPECT_FALSE(cudnn::open_cudnn_described("{\"deviceName\": \"half a GPU\"}", none).ok());
}

TEST_F(CudnnPlans, RunNowhereWithoutADevice) {
  const auto plan = build(test::conv_layers("resnet50", 1, DType::f32)[1].forward, {.tf32 = true});
  ASSERT_TRUE(plan);
  EXPECT_FALSE(dnn->execute(*plan, {}, nullptr, nullptr).ok());
}

}  // namespace
}  // namespace graft
