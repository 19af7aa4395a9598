// The CIFAR ResNets with real weights against PyTorch, on committed images.
#include "graft/models/cifar_resnet.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <span>

#include "graft/core/autograd/record.h"
#include "graft/io/weights/weights.h"
#include "graft/models/import.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/op_case.h"

namespace graft::models {
namespace {

// The committed bytes, as ImageNet's normalisation leaves them.
Tensor images() {
  const Tensor bytes =
      io::read_weights(GRAFT_TEST_DATA "/networks/cifar.safetensors").tensors.at("images");
  const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
  Tensor x = Tensor::empty(bytes.shape());
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto c = static_cast<size_t>(i / 1024 % 3);
    x.mutable_data<float>()[i] =
        static_cast<float>((bytes.data<uint8_t>()[i] / 255.0 - mean[c]) / deviation[c]);
  }
  return x;
}

void expect_logits(const std::string& file, const std::string& depth) {
  const Imported imported = test::import_checked(file);
  EXPECT_EQ(name_of(imported.model.card.architecture), "cifar_resnet" + depth);
  const std::vector<double> expected =
      io::read_weights(GRAFT_TEST_DATA "/networks/cifar.safetensors")
          .tensors.at("resnet" + depth + ".logits")
          .to_doubles();
  const NoGradGuard no_grad;
  const Tensor logits = imported.model.network->forward(images().to(MemoryFormat::channels_last));
  EXPECT_LE(test::relative_error(logits.to_doubles(), expected), 1e-4);
  const Tensor two = imported.model.network->forward(images().narrow_batch(0, 2));  // contiguous
  EXPECT_LE(test::relative_error(two.to_doubles(), std::span(expected).first(20)), 1e-4);
}

TEST(CifarResNet, RealResNet20AgreesWithPyTorch) {
  expect_logits(GRAFT_SOURCE_DIR "/examples/pretrained/cifar10_resnet20.th", "20");
}

TEST(CifarResNet, RealResNet56AgreesWithPyTorch) {
  const std::string folder = GRAFT_SOURCE_DIR "/../shared/data/models/cifar10_resnet_akamaster";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().find("56") != std::string::npos &&
        entry.path().extension() == ".th")
      return expect_logits(entry.path().string(), "56");
  GTEST_SKIP() << "no ResNet-56 in " << folder;
}

TEST(CifarResNet, SizesOfThePaper) {
  const auto parameters = [](int64_t depth) {
    int64_t count = 0;
    for (const auto& [name, tensor] : CifarResNet({.depth = depth}).parameters())
      count += tensor.numel();
    return count;
  };
  EXPECT_EQ(parameters(20), 269722);
  EXPECT_EQ(parameters(32), 464154);
  EXPECT_EQ(parameters(44), 658586);
  EXPECT_EQ(parameters(56), 853018);
  EXPECT_THROW(CifarResNet({.depth = 21}), Error);
  EXPECT_THROW(CifarResNet({.depth = 20, .classes = -1}), Error);
  EXPECT_EQ(CifarResNet({.depth = 20, .classes = 0}).stages().back(), "pool");
}

}  // namespace
}  // namespace graft::models
