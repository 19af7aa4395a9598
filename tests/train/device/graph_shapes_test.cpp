// Shapes, limits and lists of an imported graph stay with the host: its forward pass waits for
// nothing.
#include <gtest/gtest.h>

#include "graft/core/autograd/record.h"
#include "graft/tests/kernels/cuda/emulated_device.h"
#include "graft/tests/train/device/graph_case.h"

namespace graft::train {
namespace {

TEST(DeviceGraphs, ShapesStayWithTheHost) {
  test::EmulatedDevice emulated;
  models::Model model = models::import_graph(shapely_classifier(), {}).model;
  model.network->to(test::kCuda);
  const Tensor x = to_device(
      test::formula_image("image", {3, 3, 8, 8}).to(MemoryFormat::channels_last), test::kCuda);
  const NoGradGuard no_grad;
  model.network->forward(x);  // limits that lie on the device are read once
  const int64_t before = emulated.driver.waits();
  const Tensor y = model.network->forward(x);
  EXPECT_EQ(emulated.driver.waits(), before);
  y.to_doubles();
  EXPECT_EQ(emulated.driver.waits(), before + 1);
}

}  // namespace
}  // namespace graft::train
