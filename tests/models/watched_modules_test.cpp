// Each module of each family of networks either tells its hook in every forward pass, or says that
// it is never run as a whole.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "graft/core/autograd/record.h"
#include "graft/layers/modules/default_values.h"
#include "graft/layers/modules/staged_network.h"
#include "graft/models/architecture.h"

namespace graft::models {
namespace {

class WatchedModules : public ::testing::TestWithParam<const char*> {};

TEST_P(WatchedModules, TellTheirHooks) {
  const ScopedUnsetValues unset;  // the numbers mean nothing here
  const auto network = make_network(architecture_named(GetParam()));
  std::vector<std::string> paths;
  network->for_each_module([&](const std::string& path, Module&) {
    if (!path.empty()) paths.push_back(path);
  });
  std::map<std::string, int> calls;
  std::vector<ForwardHook> hooks;
  for (const std::string& path : paths) {
    try {
      hooks.push_back(network->on_forward(path, [&, path](const Tensor&) { ++calls[path]; }));
      calls[path] = 0;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("as a whole"), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(hooks.size(), 10u);
  const Tensor x = Tensor::zeros({2, 3, 64, 64}, {.format = MemoryFormat::channels_last});
  const NoGradGuard no_grad;
  int passes = 0;
  for (const bool trains : {false, true}) {
    network->train(trains);
    network->forward(x);
    ++passes;
    for (const auto& [path, count] : calls) EXPECT_EQ(count, passes) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, WatchedModules,
                         ::testing::Values("resnet18", "resnet50", "cifar_resnet20", "mobilenet_v2",
                                           "mobilenet_v3_small", "efficientnet_b0", "densenet121",
                                           "squeezenet1_1"));

}  // namespace
}  // namespace graft::models
