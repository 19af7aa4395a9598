// A native network and the graph that it is exported as: the same plan, and while they train the
// same kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/onnx/model.h"
#include "graft/layers/plan/plan.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/graph/graph_source.h"
#include "graft/models/initialization.h"
#include "graft/models/onnx_export.h"

namespace graft::models {
namespace {

struct Twins {
  std::shared_ptr<StagedNetwork> native, graph;
};
Twins twins_of(const std::string& name) {
  Model model;
  model.card.architecture = architecture_named(name);
  model.network = make_network(model.card.architecture);
  initialize(*model.network, 1);
  replace_head(model, 10, 1);
  model.card.preprocess.size = 32;
  model.network->train(false);
  const io::onnx::Model exported = to_onnx(*model.network, model.card);
  return {model.network, std::make_shared<GraphModule>(read_graph(exported))};
}

// A plan's steps with how many there are of each.
std::map<std::string, int> steps_of(StagedNetwork& network) {
  network.train(false);
  std::string reason;
  const auto plan = Plan::compile([&](const Tensor& x) { return network.forward(x); }, {3, 32, 32},
                                  &reason, {.tracing = PlanOptions::Tracing::shapes});
  EXPECT_TRUE(plan) << reason;
  std::map<std::string, int> steps;
  const std::string text = plan ? plan->describe() : "";
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    ++steps[text.substr(at, end - at)];
    at = end + 1;
  }
  return steps;
}

// How often each pass runs in a step of training.
std::map<std::string, int> passes_of(StagedNetwork& network) {
  network.train(true);
  network.zero_grad();  // twins share their weights, and with them the gradients
  ExecContext context(1);
  std::map<std::string, int> passes;
  context.set_kernel_observer(
      [&](const ExecContext::KernelRun& run) { ++passes[std::string(run.pass)]; });
  const ScopedExecContext scope(context);
  const Tensor x = Tensor::full({2, 3, 32, 32}, 0.5, {.format = MemoryFormat::channels_last});
  const Tensor y = network.forward(x);
  backward(y, Tensor::full(y.shape(), 1));
  passes.erase("dropout");  // an export in eval mode has none
  return passes;
}

class TwinsOf : public testing::TestWithParam<std::string> {};

TEST_P(TwinsOf, HaveOnePlan) {
  const NoGradGuard no_grad;
  const Twins twins = twins_of(GetParam());
  EXPECT_EQ(steps_of(*twins.graph), steps_of(*twins.native));
}

TEST_P(TwinsOf, TrainByTheSameKernels) {
  const Twins twins = twins_of(GetParam());
  EXPECT_EQ(passes_of(*twins.graph), passes_of(*twins.native));
}

INSTANTIATE_TEST_SUITE_P(Networks, TwinsOf,
                         testing::Values("resnet18", "mobilenet_v2", "mobilenet_v3_small",
                                         "efficientnet_b0"));

// What is fused is no step of its own any more: only what comes before and behind the map.
TEST(Twins, SwishAndGatesAreFused) {
  const NoGradGuard no_grad;
  for (const auto& [step, count] : steps_of(*twins_of("efficientnet_b0").graph))
    EXPECT_TRUE(step != "unary" && step != "batch_norm") << step << " " << count;
}

}  // namespace
}  // namespace graft::models
