// Imported ONNX graphs on the device: ONNX's own node cases, and fine-tuning.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "graft/core/autograd/record.h"
#include "graft/core/base/file_system.h"
#include "graft/models/comparison.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/support/onnx_case.h"
#include "graft/tests/train/device/graph_case.h"
#include "graft/tests/train/fit_case.h"

namespace graft::train {
namespace {

using test::kCuda;

// Each gives ONNX's numbers, or has no kernel on the device and says so. GRAFT_LIST_REFUSED=1 names
// those.
TEST(DeviceGraphs, OnnxNodeCases) {
  const char* carried =
      std::getenv("GRAFT_TEST_DATA");  // test_gpu may have been built on another machine
  const std::string packed =
      std::string(carried ? carried : GRAFT_TEST_DATA) + "/graphs/node_cases.npz";
  if (!file_system().exists(packed)) GTEST_SKIP() << packed << " is not on this machine";
  const auto cases = test::read_packed_cases(packed);
  size_t refused = 0;
  for (const test::OnnxCase& c : cases) {
    test::TestDevice opened;
    const test::CaseResult result = test::run_case(c, kCuda);
    EXPECT_NE(result.verdict, test::Verdict::failed) << c.name << ": " << result.reason;
    if (result.verdict != test::Verdict::unsupported) continue;
    ++refused;
    EXPECT_NE(result.reason.find("no kernel takes these arguments"), std::string::npos)
        << c.name << ": " << result.reason;
    if (std::getenv("GRAFT_LIST_REFUSED"))
      std::printf("%s: %s\n", c.name.c_str(), result.reason.c_str());
  }
  EXPECT_LE(refused, 41u) << "of " << cases.size();
}

TEST(DeviceGraphs, AnswerAsOnTheHost) {
  test::TestDevice opened;
  models::Model host = models::import_graph(shapely_classifier(), {}).model,
                there = models::import_graph(shapely_classifier(), {}).model;
  const Tensor x = test::formula_image("image", {3, 3, 8, 8}).to(MemoryFormat::channels_last);
  const NoGradGuard no_grad;
  const std::vector<double> expected = host.network->forward(x).to_doubles();
  there.network->to(kCuda);
  EXPECT_LT(
      test::relative_error(there.network->forward(to_device(x, kCuda)).to_doubles(), expected),
      1e-5);
  const models::Comparison comparison =
      models::compare(host, there);  // images go to where each network is
  EXPECT_TRUE(comparison.same_answers() && comparison.same_weights() && comparison.same_operations)
      << comparison.to_text();
}

TEST(DeviceGraphs, FineTuneAsOnTheHost) {
  const auto tuned = [](Device device, const std::string& freeze) {
    models::Model model = models::import_graph(shapely_classifier(), {}).model;
    models::replace_head(model, 3, 7);
    model.network->to(device);
    Recipe recipe = small_recipe(freeze);
    recipe.epochs = 1, recipe.augment = "none";
    return fit(*model.network, small_data(12, 4), pattern_preprocess(8), recipe, {});
  };
  for (const char* freeze : {"none", "backbone"}) {
    const FitResult host = tuned({}, freeze);
    test::TestDevice opened;
    const FitResult device = tuned(kCuda, freeze);
    ASSERT_EQ(device.history.size(), host.history.size());
    for (size_t i = 0; i < host.history.size(); ++i)
      EXPECT_NEAR(device.history[i].loss, host.history[i].loss, 2e-3)
          << freeze << ", epoch " << i + 1;
    EXPECT_EQ(device.frozen_sha256, host.frozen_sha256) << freeze;
    EXPECT_EQ(device.cached_stages, host.cached_stages) << freeze;
  }
}

}  // namespace
}  // namespace graft::train
