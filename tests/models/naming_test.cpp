// The names of Gluon, Caffe, Detectron, detectron2, transformers and timm: a network under each of
// them is the network, with the strides, pads, epsilon and pixels that the names imply.
#include "graft/models/naming/naming.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/models/import.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

// torchvision's "layer2.0.downsample.1.running_var": stage 2, block 0, unit "downsample.1", part
// "running_var".
struct TorchName {
  int64_t stage = 0, block = 0;
  std::string unit, part;
  explicit TorchName(const std::string& name) {
    const size_t dot = name.rfind('.');
    part = name.substr(dot + 1);
    unit = name.substr(0, dot);
    if (!unit.starts_with("layer")) return;
    stage = unit[5] - '0';
    block = unit[7] - '0';
    unit = unit.substr(9);
  }
  bool norm() const { return unit.starts_with("bn") || unit == "downsample.1"; }
  bool shortcut() const { return unit.starts_with("downsample"); }
  int64_t index() const { return unit.back() - '0'; }  // of conv2, bn2
  std::string gluon_part() const {
    return norm() && part == "weight" ? "gamma" : norm() && part == "bias" ? "beta" : part;
  }
};

std::string gluon_block(const TorchName& n) {
  if (n.unit == "fc") return "output." + n.part;
  if (n.stage == 0) return str("features.", n.norm() ? 1 : 0, ".", n.gluon_part());
  const std::string block = str("features.", n.stage + 3, ".", n.block, ".");
  if (n.shortcut()) return str(block, "downsample.", n.index(), ".", n.gluon_part());
  return str(block, "body.", 3 * (n.index() - 1) + (n.norm() ? 1 : 0), ".", n.gluon_part());
}

// Numbered within a stage, the first block's shortcut behind its body.
std::string gluon_symbol(const TorchName& n) {
  const std::string prefix = "resnetv10_", kind = n.norm() ? "batchnorm" : "conv";
  if (n.unit == "fc") return prefix + "dense0_" + n.part;
  if (n.stage == 0) return prefix + kind + "0_" + n.gluon_part();
  const int64_t at = n.shortcut() ? 3 : n.block * 3 + n.index() - 1 + (n.block > 0 ? 1 : 0);
  return str(prefix, "stage", n.stage, "_", kind, at, "_", n.gluon_part());
}

std::string gluon_v1b_symbol(const TorchName& n) {
  const std::string prefix = "fasterrcnn0_resnetv1b0_", kind = n.norm() ? "batchnorm" : "conv";
  if (n.unit == "fc") return prefix + "dense0_" + n.part;
  if (n.stage == 0) return prefix + kind + "0_" + n.gluon_part();
  if (n.shortcut()) return str(prefix, "down", n.stage, "_", kind, "0_", n.gluon_part());
  return str(prefix, "layers", n.stage, "_", kind, n.block * 3 + n.index() - 1, "_",
             n.gluon_part());
}

std::string gluon_v1b_block(const TorchName& n) {
  const std::string head = n.stage == 0 ? "" : str("layer", n.stage, ".", n.block, ".");
  return head + n.unit + "." + n.gluon_part();
}

std::string caffe_layer(const TorchName& n) {
  const std::string branch =
      n.shortcut() ? "1" : std::string("2") + static_cast<char>('a' + n.index() - 1);
  return str(n.stage + 1, static_cast<char>('a' + n.block), "_branch", branch);
}

// Norm and scale are layers of their own.
std::string caffe(const TorchName& n) {
  if (n.unit == "fc") return "fc1000_" + n.part;
  const bool statistic = n.part.starts_with("running");
  const std::string part = statistic ? (n.part == "running_mean" ? "mean" : "variance") : n.part;
  if (n.stage == 0)
    return (n.norm() ? (statistic ? "bn_conv1_" : "scale_conv1_") : "conv1_") + part;
  return (n.norm() ? (statistic ? "bn" : "scale") : "res") + caffe_layer(n) + "_" + part;
}

// The same by Caffe's numbers of blobs.
std::string caffe_blobs(const TorchName& n) {
  const std::string number = n.part == "bias" || n.part == "running_var" ? "1" : "0";
  const std::string named = caffe(n);
  return named.substr(0, named.rfind('_')) + "." + number;
}

std::string detectron2(const TorchName& n) {
  const std::string prefix = "backbone.bottom_up.", norm = n.norm() ? "norm." : "";
  if (n.unit == "fc") return prefix + "linear." + n.part;
  if (n.stage == 0) return prefix + "stem.conv1." + norm + n.part;
  return str(prefix, "res", n.stage + 1, ".", n.block, ".",
             n.shortcut() ? std::string("shortcut") : str("conv", n.index()), ".", norm, n.part);
}

std::string transformers(const TorchName& n) {
  const std::string kind = n.norm() ? "normalization." : "convolution.";
  if (n.unit == "fc") return "classifier.1." + n.part;
  if (n.stage == 0) return "resnet.embedder.embedder." + kind + n.part;
  const std::string block = str("resnet.encoder.stages.", n.stage - 1, ".layers.", n.block, ".");
  return block + (n.shortcut() ? std::string("shortcut.") : str("layer.", n.index() - 1, ".")) +
         kind + n.part;
}

// ResNet-50 up to layer2, with the head that such a file still has; no counts of batches outside
// PyTorch.
StateDict bottleneck_state(bool counts = false) {
  ResNetConfig config = resnet_config("resnet50");
  config.stages = 2;
  config.classes = 0;
  ResNet network(config);
  test::fill_by_formula(network);
  StateDict state;
  for (const auto& [name, tensor] : network.state_dict())
    if (counts || !name.ends_with("num_batches_tracked")) state.add(name, tensor);
  state.add("fc.weight", Tensor::zeros({7, 2048}));
  state.add("fc.bias", Tensor::zeros({7}));
  return state;
}

struct NamesCase {
  std::string what, scheme;
  std::string (*name)(const TorchName&);
  bool stride_in_3x3;
  int64_t pad_begin;
  bool bgr;
  bool counts = false;
};
void PrintTo(const NamesCase& c, std::ostream* out) { *out << c.what; }

class Names : public ::testing::TestWithParam<NamesCase> {};

TEST_P(Names, TheNetworkIsTheSame) {
  const NamesCase& c = GetParam();
  const StateDict state = bottleneck_state(c.counts);
  StateDict named;
  for (const auto& [name, tensor] : state) named.add(c.name(TorchName(name)), tensor);
  const TemporaryFolder folder;
  io::write_safetensors(folder / "w.safetensors", named);
  const Imported imported = test::import_checked(folder / "w.safetensors");
  const auto& config = std::get<ResNetConfig>(imported.model.card.architecture);
  EXPECT_EQ(config.name, "resnet50");
  EXPECT_EQ(config.stages, 2);
  EXPECT_EQ(config.stride_in_3x3, c.stride_in_3x3);
  EXPECT_EQ(config.pool_pad_begin, c.pad_begin);
  EXPECT_EQ(config.pool_pad_end, 1);
  EXPECT_EQ(config.eps, 1e-5);
  EXPECT_EQ(imported.model.card.preprocess.bgr, c.bgr);
  EXPECT_TRUE(imported.model.card.neutral_norms.empty());
  const Certificate& certificate = imported.certificate;
  EXPECT_NE(certificate.naming.find(c.scheme), std::string::npos) << certificate.naming;
  EXPECT_EQ(certificate.unused.size(), 2u);  // the head behind the cut
  EXPECT_FALSE(certificate.stride.known);
  const StateDict loaded = imported.model.network->state_dict();
  for (const auto& [name, tensor] : state) {
    if (name.starts_with("fc.")) continue;
    EXPECT_EQ(loaded.at(name).to_doubles(), tensor.to_doubles()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Frameworks, Names,
    ::testing::Values(
        NamesCase{"gluon_blocks", "Gluon names (blocks)", gluon_block, false, 1, false},
        NamesCase{"gluon_symbols", "Gluon names (symbols) under 'resnetv10_'", gluon_symbol, false,
                  1, false},
        NamesCase{"gluon_v1b_symbols", "Gluon names (symbols) under 'fasterrcnn0_resnetv1b0_'",
                  gluon_v1b_symbol, true, 1, false},
        NamesCase{"gluon_v1b_blocks", "GluonCV names", gluon_v1b_block, true, 1, false},
        NamesCase{"caffe", "Caffe names", caffe, false, 0, true},
        NamesCase{"caffe_blobs", "Caffe names", caffe_blobs, false, 0, true},
        NamesCase{"detectron2", "detectron2 names under 'backbone.bottom_up.'", detectron2, true, 1,
                  false},
        NamesCase{"transformers", "transformers names", transformers, true, 1, false, true}),
    [](const auto& c) { return c.param.what; });

io::WeightFile plain_file(StateDict tensors) {
  io::WeightFile file;
  file.path = "w.safetensors";
  file.format = "safetensors";
  file.tensors = std::move(tensors);
  file.roots = {""};
  return file;
}

// Caffe's statistics are sums over as many batches as the third blob says.
TEST(CaffeNames, ScaleFactorsDivide) {
  StateDict tensors;
  tensors.add("res2a_branch2a.0", Tensor::zeros({2, 3, 1, 1}));
  tensors.add("bn2a_branch2a.0", Tensor::of<float>({2}, {10, 20}));
  tensors.add("bn2a_branch2a.1", Tensor::of<float>({2}, {5, 2.5}));
  tensors.add("bn2a_branch2a.2", Tensor::of<float>({1}, {5}));
  const auto renamed = rename_to_torchvision(plain_file(tensors));
  EXPECT_EQ(renamed->tensors.size(), 3u);
  EXPECT_EQ(renamed->tensors.at("layer1.0.bn1.running_mean").to_doubles(),
            (std::vector<double>{2, 4}));
  EXPECT_EQ(renamed->tensors.at("layer1.0.bn1.running_var").to_doubles(),
            (std::vector<double>{1, 0.5}));
}

// Long stages: res4b22_branch2c.
TEST(CaffeNames, BlocksPastB) {
  StateDict tensors;
  for (const char* layer : {"res2a_branch2a", "res4b22_branch2c", "res3d_branch1"})
    tensors.add(std::string(layer) + "_weight", Tensor::zeros({2, 3, 1, 1}));
  const auto renamed = rename_to_torchvision(plain_file(tensors));
  for (const char* name :
       {"layer1.0.conv1.weight", "layer3.22.conv3.weight", "layer2.3.downsample.0.weight"})
    EXPECT_TRUE(renamed->tensors.contains(name)) << name;
}

std::string detectron(const TorchName& n) {
  if (n.unit == "fc") return n.part == "weight" ? "pred_w" : "pred_b";
  const std::string part = n.norm() ? (n.part == "weight" ? "bn_s" : "bn_b") : "w";
  if (n.stage == 0) return n.norm() ? "res_conv1_" + part : "conv1_" + part;
  const std::string layer = caffe_layer(n);
  return str("res", n.stage + 1, "_", n.block, layer.substr(layer.find('_')), "_", part);
}

// Norms whose statistics went into a scale and a shift: the same answers, and neutral norms that
// wait for statistics.
TEST(DetectronNames, AffineNormsAreFolded) {
  ResNetConfig config = resnet_config("resnet50");
  config.stages = 2;
  config.classes = 0;
  config.stride_in_3x3 = false;
  ResNet network(config);
  test::fill_by_formula(network);
  network.train(false);
  const StateDict state = network.state_dict();
  StateDict named;
  for (const auto& [name, tensor] : state) {
    const TorchName n(name);
    if (n.part.starts_with("running") || n.part == "num_batches_tracked") continue;
    Tensor value = tensor;
    if (n.norm()) {
      const std::string norm = name.substr(0, name.rfind('.') + 1);
      const auto gamma = state.at(norm + "weight").to_doubles(),
                 beta = state.at(norm + "bias").to_doubles(),
                 mean = state.at(norm + "running_mean").to_doubles(),
                 variance = state.at(norm + "running_var").to_doubles();
      std::vector<float> affine;
      for (size_t k = 0; k < gamma.size(); ++k) {
        const double scale = gamma[k] / std::sqrt(variance[k] + config.eps);
        affine.push_back(
            static_cast<float>(n.part == "weight" ? scale : beta[k] - mean[k] * scale));
      }
      value = Tensor::of(tensor.shape(), affine);
    }
    named.add(detectron(n), value);
  }
  const TemporaryFolder folder;
  io::write_safetensors(folder / "w.safetensors", named);
  const Imported imported = test::import_checked(folder / "w.safetensors");
  EXPECT_EQ(imported.model.card.neutral_norms.size(),
            24u);  // the stem's, 3 a block, one a shortcut
  EXPECT_NE(imported.certificate.to_text().find("a scale and a shift"), std::string::npos);
  EXPECT_TRUE(imported.model.card.preprocess.bgr);
  const NoGradGuard no_grad;
  const Tensor x = test::formula_image("image", {2, 3, 48, 48}).to(MemoryFormat::channels_last);
  EXPECT_LE(test::relative_error(imported.model.network->forward(x).to_doubles(),
                                 network.forward(x).to_doubles()),
            1e-4);
}

// detectron2 runs both MSRA's weights (raw pixels, v1) and torchvision's: the first norm's variance
// tells.
TEST(Detectron2Names, RawPixelsMeanMsra) {
  StateDict named;
  for (const auto& [name, tensor] : bottleneck_state()) {
    Tensor value = tensor;
    if (name == "bn1.running_var") value = Tensor::full({64}, 50000);
    named.add(detectron2(TorchName(name)), value);
  }
  const auto renamed = rename_to_torchvision(plain_file(named));
  EXPECT_FALSE(renamed->stride_in_3x3->value);
  EXPECT_TRUE(renamed->preprocess->value.bgr);
}

TEST(GluonNames, OtherResNetsAreRefusedByName) {
  const auto message = [](std::initializer_list<const char*> names) -> std::string {
    StateDict tensors;
    for (const char* name : names) tensors.add(name, Tensor::zeros({3}));
    try {
      rename_to_torchvision(plain_file(tensors));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message({"features.0.gamma", "features.2.bn1.gamma", "features.5.0.bn1.gamma"})
                .find("ResNet v2"),
            std::string::npos);
  EXPECT_NE(message({"resnetv20_batchnorm0_gamma", "resnetv20_batchnorm1_gamma"}).find("ResNet v2"),
            std::string::npos);
}

TEST(TimmNames, MobileNetAndVgg) {
  StateDict tensors;
  for (const char* name :
       {"conv_stem.weight", "bn1.running_mean", "blocks.0.0.conv_dw.weight",
        "blocks.0.0.conv_pw.weight", "blocks.0.0.bn2.bias", "blocks.1.0.conv_pw.weight",
        "blocks.1.1.conv_dw.weight", "blocks.6.0.conv_pwl.weight", "blocks.6.0.bn3.running_var",
        "conv_head.weight", "bn2.weight", "classifier.bias"})
    tensors.add(name, Tensor::zeros({2}));
  const auto mobile = rename_to_torchvision(plain_file(tensors));
  for (const char* name :
       {"features.0.0.weight", "features.0.1.running_mean", "features.1.conv.0.0.weight",
        "features.1.conv.1.weight", "features.1.conv.2.bias", "features.2.conv.0.0.weight",
        "features.3.conv.1.0.weight", "features.17.conv.2.weight", "features.17.conv.3.running_var",
        "features.18.0.weight", "features.18.1.weight", "classifier.1.bias"})
    EXPECT_TRUE(mobile->tensors.contains(name)) << name;
  EXPECT_FALSE(mobile->same_padding);

  StateDict vgg;
  vgg.add("features.0.weight", Tensor::zeros({4, 3, 3, 3}));
  vgg.add("pre_logits.fc1.weight", Tensor::zeros({8, 4, 7, 7}));
  vgg.add("pre_logits.fc2.weight", Tensor::zeros({8, 8, 1, 1}));
  vgg.add("head.fc.weight", Tensor::zeros({5, 8}));
  const StateDict renamed = rename_to_torchvision(plain_file(vgg))->tensors;
  EXPECT_EQ(renamed.at("classifier.0.weight").shape(), Shape({8, 196}));
  EXPECT_EQ(renamed.at("classifier.3.weight").shape(), Shape({8, 8}));
  EXPECT_EQ(renamed.at("classifier.6.weight").shape(), Shape({5, 8}));
}

TEST(Naming, TorchvisionsNamesAreOfNoOtherScheme) {
  StateDict named;
  for (const auto& [name, tensor] : bottleneck_state(true)) named.add(name, tensor);
  EXPECT_FALSE(rename_to_torchvision(plain_file(named)).has_value());
}

// Checkpoints around a state dict, DataParallel, halves: tensors of one network under the names of
// one, all in one place.
TEST(Naming, WrappedAndHalvedStateDicts) {
  const StateDict state = bottleneck_state();
  for (const DType type : {DType::f16, DType::bf16}) {
    StateDict named;
    for (const auto& [name, tensor] : state)
      named.add("module." + transformers(TorchName(name)), tensor.to(type));
    const TemporaryFolder folder;
    io::write_safetensors(folder / "w.safetensors", named);
    const Imported imported = test::import_checked(folder / "w.safetensors");
    EXPECT_NE(imported.certificate.naming.find("under 'module.'"), std::string::npos)
        << imported.certificate.naming;
    const StateDict loaded = imported.model.network->state_dict();
    EXPECT_EQ(loaded.at("layer2.0.conv2.weight").to_doubles(),
              state.at("layer2.0.conv2.weight").to(type).to_doubles());
  }
  io::WeightFile checkpoint = plain_file({});
  for (const auto& [name, tensor] : state) {
    checkpoint.tensors.add("model." + caffe(TorchName(name)), Tensor::zeros(tensor.shape()));
    checkpoint.tensors.add("model_ema." + caffe(TorchName(name)), tensor);
  }
  checkpoint.tensors.add("optimizer.state.0.exp_avg", Tensor::zeros({3}));
  checkpoint.roots = {"model_ema.", "model."};
  const auto renamed = rename_to_torchvision(checkpoint);
  EXPECT_EQ(renamed->tensors.at("layer1.0.conv1.weight").to_doubles(),
            state.at("layer1.0.conv1.weight").to_doubles());
  EXPECT_EQ(renamed->ignored.size(), state.size() + 1);
}

}  // namespace
}  // namespace graft::models
