// Keras' applications against what Keras computes with the same weights
// (tests/data/keras/make_networks.py): names, layouts, biases before norms, epsilons and
// TensorFlow's padding must all be right for the answers to agree.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/io/weights/weights.h"
#include "graft/models/import.h"
#include "graft/models/naming/naming.h"
#include "graft/models/source_network.h"
#include "graft/tests/support/import_check.h"
#include "graft/tests/support/network_formula.h"
#include "graft/tests/support/op_case.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::models {
namespace {

std::string keras_file(const std::string& name) { return GRAFT_TEST_DATA "/keras/" + name; }

Tensor keras_formula(const std::string& name, const std::vector<int64_t>& extents) {
  const test::NameHash hash(name);
  Tensor tensor = Tensor::empty(Shape(extents));
  const auto extent = [&](size_t axis) { return static_cast<double>(extents[axis]); };
  float* out = tensor.mutable_data<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const double c = hash.centred(i);
    double value = 0.1 * c;
    if (extents.size() == 4)
      value = c * std::sqrt(6.0 / (extent(0) * extent(1) * extent(3)));
    else if (extents.size() == 2)
      value = c * std::sqrt(3.0 / extent(0));
    else if (name.ends_with("moving_variance"))
      value = 1 + 0.5 * c;
    else if (name.ends_with("gamma"))
      value = 0.75 + 0.25 * c;
    out[i] = static_cast<float>(value);
  }
  return tensor;
}

StateDict keras_weights(const std::string& list) {
  std::ifstream file(keras_file(list + ".txt"));
  StateDict tensors;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    std::vector<int64_t> extents;
    for (int64_t extent = 0; fields >> extent;) extents.push_back(extent);
    tensors.add(name, keras_formula(name, extents));
  }
  return tensors;
}

struct KerasCase {
  std::string golden, list, arch, preprocess;
  int64_t size;
  double eps;
};
void PrintTo(const KerasCase& c, std::ostream* out) { *out << c.golden; }

class KerasNames : public ::testing::TestWithParam<KerasCase> {};

TEST_P(KerasNames, TheAnswersAreKeras) {
  const KerasCase& c = GetParam();
  const TemporaryFolder folder;
  const StateDict weights = keras_weights(c.list);
  ASSERT_GT(weights.size(), 20u);
  io::write_safetensors(folder / "k.safetensors", weights);
  const Imported imported = test::import_checked(folder / "k.safetensors");
  const Certificate& certificate = imported.certificate;
  EXPECT_EQ(name_of(imported.model.card.architecture), c.arch);
  EXPECT_NE(certificate.naming.find("Keras"), std::string::npos) << certificate.naming;
  EXPECT_EQ(certificate.matched, static_cast<int64_t>(weights.size()));
  EXPECT_NE(certificate.preprocess.what.find(c.preprocess), std::string::npos)
      << certificate.preprocess.what;
  if (c.eps > 0) {
    EXPECT_EQ(eps_of(imported.model.card.architecture), c.eps);
    EXPECT_FALSE(certificate.eps.known);
    EXPECT_NE(certificate.eps.why.find("names"), std::string::npos);
  }
  const NoGradGuard no_grad;
  const Tensor x =
      test::formula_image(c.golden, {2, 3, c.size, c.size}).to(MemoryFormat::channels_last);
  static const StateDict answers = io::read_weights(keras_file("networks.safetensors")).tensors;
  EXPECT_LE(test::relative_error(imported.model.network->forward(x).to_doubles(),
                                 answers.at(c.golden).to_doubles()),
            1e-4);

  // The model file keeps all of it.
  save_model(folder / "model.safetensors", *imported.model.network, imported.model.card);
  const Model model = load_model(folder / "model.safetensors");
  EXPECT_EQ(to_json(model.card.architecture), to_json(imported.model.card.architecture));
  EXPECT_EQ(model.network->forward(x).to_doubles(),
            imported.model.network->forward(x).to_doubles());
}

INSTANTIATE_TEST_SUITE_P(
    Keras, KerasNames,
    ::testing::Values(
        KerasCase{"resnet50", "resnet50", "resnet50", "BGR", 64, 1.001e-5},
        KerasCase{"mobilenet_v2", "mobilenet_v2", "mobilenet_v2_tf", "127.5", 64, 1e-3},
        KerasCase{"mobilenet_v2_odd", "mobilenet_v2", "mobilenet_v2_tf", "127.5", 75, 1e-3},
        KerasCase{"densenet121", "densenet121", "densenet121", "ImageNet", 64, 1.001e-5},
        KerasCase{"vgg16_features", "vgg16_features", "vgg16", "BGR", 64, 0}),
    [](const auto& test_case) { return test_case.param.golden; });

// --- the other layouts, on the names alone ---

io::WeightFile file_of(const StateDict& tensors, const std::string& format = "hdf5") {
  io::WeightFile file;
  file.path = "k.h5";
  file.format = format;
  file.tensors = tensors;
  file.roots = {""};
  return file;
}

// The first stage of a ResNet-50 with small tensors: the names are the same.
StateDict small_resnet(
    const std::function<std::string(const std::string& layer, const std::string& part)>& name) {
  StateDict tensors;
  const auto add = [&](const std::string& layer, const std::string& part,
                       std::vector<int64_t> extents) {
    tensors.add(name(layer, part), keras_formula(layer + "/" + part, extents));
  };
  for (const std::string layer :
       {"conv1", "conv2_block1_0", "conv2_block1_1", "conv2_block1_2", "conv2_block1_3"}) {
    add(layer + "_conv", "kernel", {3, 3, 2, 4});
    add(layer + "_conv", "bias", {4});
    for (const char* part : {"gamma", "beta", "moving_mean", "moving_variance"})
      add(layer + "_bn", part, {4});
  }
  add("predictions", "kernel", {4, 6});
  add("predictions", "bias", {6});
  return tensors;
}

void expect_same(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a)
    EXPECT_EQ(tensor.to_doubles(), b.at(name).to_doubles()) << name;
}

TEST(KerasLayouts, AllAreOne) {
  const auto plain = rename_to_torchvision(file_of(
      small_resnet([](const auto& layer, const auto& part) { return layer + "/" + part; })));
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->tensors.size(), 32u);
  for (const char* name : {"conv1.weight", "conv1.bias", "bn1.running_var", "layer1.0.conv3.bias",
                           "layer1.0.bn2.weight", "layer1.0.downsample.0.weight",
                           "layer1.0.downsample.1.running_mean", "fc.bias"})
    EXPECT_TRUE(plain->tensors.contains(name)) << name;
  // HWIO -> OIHW and [in,out] -> [out,in].
  EXPECT_EQ(plain->tensors.at("conv1.weight").shape(), Shape({4, 2, 3, 3}));
  const Tensor kernel = keras_formula("conv1_conv/kernel", {3, 3, 2, 4});
  EXPECT_EQ(plain->tensors.at("conv1.weight")
                .to_doubles()[static_cast<size_t>(((3 * 2 + 1) * 3 + 2) * 3 + 0)],
            kernel.to_doubles()[static_cast<size_t>(((2 * 3 + 0) * 2 + 1) * 4 + 3)]);
  EXPECT_EQ(plain->tensors.at("fc.weight").shape(), Shape({6, 4}));
  EXPECT_FALSE(plain->stride_in_3x3->value);
  EXPECT_EQ(plain->eps->value, 1.001e-5);

  const auto twice = [](const std::string& layer, const std::string& part) {
    return "model_weights/" + layer + "/" + layer + "/" + part + ":0";
  };
  expect_same(plain->tensors, rename_to_torchvision(file_of(small_resnet(twice)))->tensors);
  const auto inner =
      rename_to_torchvision(file_of(small_resnet([](const auto& layer, const auto& part) {
        return "model_weights/resnet50/" + layer + "/" + part;
      })));
  expect_same(plain->tensors, inner->tensors);
  EXPECT_NE(inner->scheme.find("under 'resnet50/'"), std::string::npos) << inner->scheme;
}

// Keras 3: layers/<class>_<n>/vars/<i>, with the names beside them or in the configuration.
TEST(KerasLayouts, NumberedVariables) {
  const auto plain = rename_to_torchvision(file_of(
      small_resnet([](const auto& layer, const auto& part) { return layer + "/" + part; })));
  std::map<std::string, std::string> keys;
  std::map<std::string, int> seen;
  std::string config;
  const auto numbered = [&](const std::string& layer, const std::string& part) {
    const std::string kind = layer.ends_with("_conv") ? "Conv2D"
                             : layer.ends_with("_bn") ? "BatchNormalization"
                                                      : "Dense";
    if (!keys.contains(layer)) {
      const std::string key = kind == "Conv2D"  ? "conv2d"
                              : kind == "Dense" ? "dense"
                                                : "batch_normalization";
      const int before = seen[key]++;
      keys[layer] = before == 0 ? key : key + "_" + std::to_string(before);
      config +=
          str(config.empty() ? "" : ",", "{\"class_name\":\"", kind, "\",\"config\":{\"name\":\"",
              layer, "\",\"epsilon\":0.002,\"strides\":[", layer == "conv1_conv" ? 2 : 1, ",1]}}");
    }
    const std::vector<std::string> order =
        kind == "BatchNormalization"
            ? std::vector<std::string>{"gamma", "beta", "moving_mean", "moving_variance"}
            : std::vector<std::string>{"kernel", "bias"};
    return str("layers/", keys[layer], "/vars/",
               std::find(order.begin(), order.end(), part) - order.begin());
  };
  io::WeightFile named = file_of(small_resnet(numbered));
  EXPECT_THROW(rename_to_torchvision(named), Error);  // nothing says which layer is which
  io::WeightFile configured = named;
  for (const auto& [layer, key] : keys)
    named.metadata["keras.name:layers/" + key + "/vars"] = layer;
  expect_same(plain->tensors, rename_to_torchvision(named)->tensors);
  configured.metadata["keras.config"] =
      "{\"class_name\":\"Functional\",\"config\":{\"layers\":[" + config + "]}}";
  const auto renamed = rename_to_torchvision(configured);
  expect_same(plain->tensors, renamed->tensors);
  EXPECT_EQ(renamed->eps->value, 0.002);
  EXPECT_TRUE(renamed->eps->known);
  EXPECT_EQ(renamed->pool_pads->value,
            (std::array<int64_t, 2>{0, 0}));  // no padding layer in the configuration
  configured.metadata["keras.config"] = std::string(100, '[');
  EXPECT_THROW(rename_to_torchvision(configured), Error);
}

// keras.applications before 2.2, and Keras 1's names of variables.
TEST(KerasLayouts, OldNames) {
  const auto plain = rename_to_torchvision(file_of(
      small_resnet([](const auto& layer, const auto& part) { return layer + "/" + part; })));
  const auto old = [](const std::string& layer) {
    if (layer == "conv1_conv") return std::string("conv1");
    if (layer == "conv1_bn") return std::string("bn_conv1");
    if (layer == "predictions") return std::string("fc1000");
    const std::string branch =
        layer[13] == '0' ? "1" : std::string("2") + static_cast<char>('a' + layer[13] - '1');
    return (layer.ends_with("_bn") ? "bn2a_branch" : "res2a_branch") + branch;
  };
  const auto renamed =
      rename_to_torchvision(file_of(small_resnet([&](const auto& layer, const auto& part) {
        const std::string word = part == "kernel"            ? "W"
                                 : part == "bias"            ? "b"
                                 : part == "moving_variance" ? "running_std"
                                 : part == "moving_mean"     ? "running_mean"
                                                             : part;
        return old(layer) + "/" + old(layer) + "_" + word + ":0";
      })));
  expect_same(plain->tensors, renamed->tensors);
  EXPECT_EQ(renamed->eps->value, 1e-3);
}

TEST(KerasLayouts, ATrainedHeadOfAnotherName) {
  StateDict tensors = small_resnet([](const auto& layer, const auto& part) {
    return (layer == "predictions" ? "dense/sequential/dense/" : "resnet50/" + layer + "/") + part;
  });
  const auto renamed = rename_to_torchvision(file_of(tensors));
  EXPECT_EQ(renamed->tensors.at("fc.weight").shape(), Shape({6, 4}));
  ASSERT_FALSE(renamed->notes.empty());
  EXPECT_NE(renamed->notes.back().find("'dense'"), std::string::npos);
}

// The small ResNet inside of a model as the tutorials write them.
io::WeightFile tutorial_model(const std::string& first_layers, const std::string& activation) {
  io::WeightFile file =
      file_of(small_resnet([](const auto& layer, const auto& part) { return layer + "/" + part; }));
  file.metadata["keras.config"] =
      R"({"class_name":"Functional","config":{"layers":[{"class_name":"InputLayer","config":)"
      R"({"name":"input","batch_shape":[null,96,96,3]}},)" +
      first_layers +
      R"({"class_name":"Functional","config":{"name":"resnet50","layers":[{"class_name":)"
      R"("InputLayer","config":{"name":"inner","batch_shape":[null,64,64,3]}}]}},)"
      R"({"class_name":"Dense","config":{"name":"predictions","activation":")" +
      activation + R"("}}]}})";
  return file;
}

TEST(KerasLayouts, RescalingInTheModelIsItsPreprocessing) {
  const auto renamed = rename_to_torchvision(tutorial_model(
      R"({"class_name":"RandomFlip","config":{"name":"flip"}},{"class_name":"Rescaling","config":)"
      R"({"name":"scaling","scale":0.00784313725490196,"offset":-1}},)",
      "softmax"));
  EXPECT_TRUE(renamed->preprocess->known);
  const io::Preprocess& p = renamed->preprocess->value;
  EXPECT_FALSE(p.bgr);
  EXPECT_EQ(p.size, 96);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR((0 * p.scale - p.mean[c]) / p.deviation[c], -1, 1e-9);
    EXPECT_NEAR((255 * p.scale - p.mean[c]) / p.deviation[c], 1, 1e-9);
  }
  EXPECT_NE(renamed->preprocess->why.find("Rescaling 'scaling'"), std::string::npos);
  EXPECT_EQ(renamed->head_activation, "softmax");
  const auto noted = [&](const char* part) {
    return std::any_of(renamed->notes.begin(), renamed->notes.end(), [&](const std::string& note) {
      return note.find(part) != std::string::npos;
    });
  };
  EXPECT_TRUE(noted("left out: flip"));
}

TEST(KerasLayouts, NormalizationByStoredNumbersIsItsPreprocessing) {
  io::WeightFile file = tutorial_model(
      R"({"class_name":"Normalization","config":{"name":"normalization","axis":[-1]}},)",
      "sigmoid");
  file.tensors.add("normalization/mean:0", Tensor::of<float>({3}, {120, 110, 100}));
  file.tensors.add("normalization/variance:0", Tensor::of<float>({3}, {16, 25, 36}));
  file.tensors.add("normalization/count:0", Tensor::scalar(4, DType::i64));
  const auto renamed = rename_to_torchvision(file);
  EXPECT_EQ(renamed->preprocess->value.scale, 1);
  for (size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(renamed->preprocess->value.mean.at(c), (std::array{120.0, 110.0, 100.0})[c], 1e-9);
  EXPECT_EQ(renamed->preprocess->value.deviation, (std::vector<double>{4, 5, 6}));
  EXPECT_EQ(renamed->head_activation, "sigmoid");
  EXPECT_FALSE(renamed->tensors.contains("normalization/mean:0"));
}

TEST(KerasLayouts, ResizingInTheModelIsItsGeometry) {
  const auto images = [](const std::string& layers) {
    return *source_from_names(tutorial_model(layers, "softmax"), "").images;
  };
  const std::string resizing = R"({"class_name":"Resizing","config":{"name":"r","height":)",
                    rescaling = R"({"class_name":"Rescaling","config":{"name":"s","scale":0.5}},)";
  const io::Preprocess squashed = images(resizing + R"(64,"width":64}},)" + rescaling);
  EXPECT_EQ(squashed.size, 64);
  EXPECT_EQ(squashed.fit(), "squash");
  EXPECT_EQ(images(resizing + R"(64,"width":64,"pad_to_aspect_ratio":true}},)").fit(), "pad");
  const io::Preprocess cropped =
      images(resizing + R"(80,"width":80,"crop_to_aspect_ratio":true}},)" + rescaling +
             R"({"class_name":"CenterCrop","config":{"name":"c","height":64,"width":64}},)");
  EXPECT_EQ(cropped.size, 64);
  EXPECT_EQ(cropped.resize_to, 80);
  EXPECT_EQ(cropped.deviation[0], 2);
  const io::Preprocess wide =
      images(resizing + R"(40,"width":120,"crop_to_aspect_ratio":true}},)" +
             R"({"class_name":"CenterCrop","config":{"name":"c","height":32,"width":96}},)");
  EXPECT_EQ(wide.sides(), "32x96");
  EXPECT_EQ(wide.resize_to, 40);
  EXPECT_EQ(images(resizing + R"(32,"width":96}},)").fit(), "squash");
}

TEST(KerasLayouts, WithoutLayersOfItsOwnOnlyTheSizeIsKnown) {
  const auto renamed = rename_to_torchvision(tutorial_model("", "linear"));
  EXPECT_FALSE(renamed->preprocess->known);
  EXPECT_TRUE(renamed->preprocess->value.bgr);
  EXPECT_EQ(renamed->image_size, 96);
}

TEST(KerasLayouts, VggsFirstDenseLayerTakesChannelsFirst) {
  StateDict tensors;
  tensors.add("block1_conv1/kernel", Tensor::zeros({3, 3, 3, 2}));
  std::vector<float> values;  // [(h*7 + w)*2 + c, out]
  for (int i = 0; i < 98 * 3; ++i) values.push_back(static_cast<float>(i));
  tensors.add("fc1/kernel", Tensor::of({98, 3}, values));
  const Tensor weight = rename_to_torchvision(file_of(tensors))->tensors.at("classifier.0.weight");
  EXPECT_EQ(weight.shape(), Shape({3, 98}));
  const int h = 4, w = 2, c = 1, out = 2;
  EXPECT_EQ(weight.data<float>()[out * 98 + (c * 7 + h) * 7 + w],
            static_cast<float>(((h * 7 + w) * 2 + c) * 3 + out));
}

TEST(KerasLayouts, NetworksWithoutATwinAreNamed) {
  const auto message = [](const std::string& layer) -> std::string {
    StateDict tensors;
    tensors.add(layer + "/kernel", Tensor::zeros({3, 3, 3, 2}));
    try {
      rename_to_torchvision(file_of(tensors));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("conv2_block1_preact_bn").find("ResNet V2"), std::string::npos);
  EXPECT_NE(message("block1a_dwconv").find("EfficientNet"), std::string::npos);
  EXPECT_NE(message("conv_dw_1").find("MobileNet (V1)"), std::string::npos);
  EXPECT_NE(message("my_layer").find("no Keras network that graft has"), std::string::npos);
}

}  // namespace
}  // namespace graft::models
