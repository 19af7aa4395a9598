// Every kind of network that graft knows by name finds its operations on the device: forward,
// backward, and as a plan. What they compute is the OpCases' matter: on a fake GPU kernels are
// queued and compute nothing here.
#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/loss.h"
#include "graft/models/architecture.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/support/full_size.h"
#include "graft/train/features.h"

namespace graft::train {
namespace {

using test::kCuda;

class DeviceNetworks : public testing::TestWithParam<const char*> {};

TEST_P(DeviceNetworks, FindTheirOperations) {
  for (const DType precision : {DType::bf16, DType::f32, DType::f16}) {
    if (precision != DType::bf16 && !test::full_size()) continue;
    test::TestDevice opened(test::Products::own);  // cuDNN would compile a graph a layer
    opened.queue_only();
    models::Architecture architecture = models::architecture_named(GetParam());
    const auto network = models::make_network(architecture);
    network->to(kCuda);
    network->train(true);
    const Tensor x =
        Tensor::zeros({2, 3, 64, 64}, {.format = MemoryFormat::channels_last, .device = kCuda});
    const Tensor labels = Tensor::zeros({2}, {.dtype = DType::i64, .device = kCuda});
    const Tensor logits =
        functional::cast(network->forward(functional::cast(x, precision)), DType::f32);
    backward(functional::cross_entropy(logits, labels));
    for (const NamedTensor& p : network->parameters())
      EXPECT_TRUE(grad_of(p.tensor).defined()) << p.name;
    network->zero_grad();
    network->train(false);
    PrefixRunner run(*network, network->stages().size(), precision);
    EXPECT_EQ(run(x).shape(), logits.shape());
    EXPECT_EQ(run.refusal(), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Named, DeviceNetworks,
                         testing::Values("resnet18", "resnet50", "cifar_resnet20", "mobilenet_v2",
                                         "mobilenet_v2_tf", "squeezenet1_1", "densenet121",
                                         "vgg11_bn"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace graft::train
