// The names of keras.applications: ResNet-50/101/152 (and the ResNet-50 of Keras before 2.2),
// VGG-16/19, MobileNetV2 and DenseNet-121/169/201, in any of Keras' file layouts, with kernels
// turned from [R,S,C,K] and [in,out] into graft's.
#include <algorithm>
#include <set>

#include "graft/models/naming/keras_images.h"
#include "graft/models/naming/keras_layers.h"
#include "graft/models/naming/permuted.h"
#include "graft/models/naming/scheme.h"

namespace graft::models {
namespace {

struct KerasFamily {
  const char* name;
  const char* marker;  // a layer that only this family has
  std::string (*path)(const KerasModel&,
                      const std::string& layer);  // torchvision's path of a layer; "" for none
  const char* head;  // the path of a single dense layer under another name; nullptr: not taken
  double eps;
  bool old_names;
};

std::string res_path(const KerasModel&, const std::string& layer) {
  NameParser parse(layer);
  int64_t stage = 0, block = 0, index = 0;
  if (layer == "conv1_conv") return "conv1";
  if (layer == "conv1_bn") return "bn1";
  if (layer == "predictions" || layer == "probs" || layer == "fc1000") return "fc";
  if (!parse.word("conv") || !parse.number(stage) || stage < 2 || stage > 5 ||
      !parse.word("_block") || !parse.number(block) || block < 1 || !parse.word("_") ||
      !parse.number(index) || index > 3)
    return "";
  const bool norm = parse.rest() == "_bn";
  if (!norm && parse.rest() != "_conv") return "";
  return block_path(stage - 1, block - 1) +
         (index == 0 ? str("downsample.", norm ? 1 : 0) : str(norm ? "bn" : "conv", index));
}

std::string old_res_path(const KerasModel&, const std::string& layer) {
  NameParser parse(layer);
  int64_t stage = 0, block = 0, index = 0;
  if (layer == "conv1") return "conv1";
  if (layer == "bn_conv1") return "bn1";
  if (layer == "fc1000" || layer == "predictions") return "fc";
  const bool norm = parse.word("bn");
  if ((!norm && !parse.word("res")) || !parse.number(stage) || stage < 2 || stage > 5 ||
      !parse.letter(block) || !parse.word("_branch"))
    return "";
  if (parse.word("1"))
    return block_path(stage - 1, block) + (norm ? "downsample.1" : "downsample.0");
  if (!parse.word("2") || !parse.letter(index) || index > 2 || !parse.rest().empty()) return "";
  return str(block_path(stage - 1, block), norm ? "bn" : "conv", index + 1);
}

std::string dense_path(const KerasModel&, const std::string& layer) {
  NameParser parse(layer);
  int64_t stage = 0, block = 0, index = 0;
  if (layer == "conv1_conv" || layer == "conv1/conv") return "features.conv0";
  if (layer == "conv1_bn" || layer == "conv1/bn") return "features.norm0";
  if (layer == "bn") return "features.norm5";
  if (layer == "predictions" || layer == "fc1000") return "classifier";
  if (parse.word("pool")) {
    if (!parse.number(stage) || stage < 2 || stage > 4) return "";
    return parse.rest() == "_bn" || parse.rest() == "_conv"
               ? str("features.transition", stage - 1, ".", parse.rest() == "_bn" ? "norm" : "conv")
               : "";
  }
  if (!parse.word("conv") || !parse.number(stage) || stage < 2 || stage > 5 ||
      !parse.word("_block") || !parse.number(block) || !parse.word("_") || !parse.number(index) ||
      index > 2)
    return "";
  const bool norm = parse.rest() == "_bn";  // 0_bn, 1_conv, 1_bn, 2_conv
  if (!norm && parse.rest() != "_conv") return "";
  return str("features.denseblock", stage - 1, ".denselayer", block, ".", norm ? "norm" : "conv",
             norm ? index + 1 : index);
}

std::string mobile_path(const KerasModel&, const std::string& layer) {
  NameParser parse(layer);
  int64_t block = 0;
  if (layer == "Conv1") return "features.0.0";
  if (layer == "bn_Conv1") return "features.0.1";
  if (layer == "Conv_1") return "features.18.0";
  if (layer == "Conv_1_bn") return "features.18.1";
  if (layer == "predictions" || layer == "Logits") return "classifier.1";
  const bool first = parse.word("expanded_conv_");
  if (!first && (!parse.word("block_") || !parse.number(block) || block < 1 || block > 16 ||
                 !parse.word("_")))
    return "";
  const std::string path = str("features.", block + 1, ".conv."), step = std::string(parse.rest());
  const int depthwise = first ? 0 : 1;
  if (step == "expand" && !first) return path + "0.0";
  if (step == "expand_BN" && !first) return path + "0.1";
  if (step == "depthwise") return str(path, depthwise, ".0");
  if (step == "depthwise_BN") return str(path, depthwise, ".1");
  if (step == "project") return str(path, depthwise + 1);
  return step == "project_BN" ? str(path, depthwise + 2) : "";
}

// block3_conv2 is the second convolution of the third block; how many a block has, the file says.
std::string vgg_path(const KerasModel& model, const std::string& layer) {
  NameParser parse(layer);
  int64_t block = 0, convolution = 0, index = 0;
  if (layer == "fc1") return "classifier.0";
  if (layer == "fc2") return "classifier.3";
  if (layer == "predictions") return "classifier.6";
  if (!parse.word("block") || !parse.number(block) || block < 1 || block > 5 ||
      !parse.word("_conv") || !parse.number(convolution) || convolution < 1 ||
      !parse.rest().empty())
    return "";
  for (int64_t before = 1; before < block; ++before) {
    for (int64_t i = 1; model.has_layer(str("block", before, "_conv", i)); ++i) index += 2;
    ++index;  // the pool
  }
  return str("features.", index + 2 * (convolution - 1));
}

const KerasFamily kKerasFamilies[] = {
    {"Keras ResNet", "conv2_block1_0_conv", res_path, "fc", 1.001e-5, false},
    {"Keras ResNet (names before 2.2)", "res2a_branch2a", old_res_path, "fc", 1e-3, true},
    {"Keras DenseNet", "conv2_block1_0_bn", dense_path, "classifier", 1.001e-5, false},
    {"Keras MobileNetV2", "expanded_conv_depthwise", mobile_path, "classifier.1", 1e-3, false},
    {"Keras VGG", "block1_conv1", vgg_path, nullptr, 0, false}};

void refuse_without_twin(const KerasModel& model) {
  const auto refuse = [](const char* network) {
    bad_input("the layers' names are those of Keras' ", network,
              ", which graft does not have; exported with tf2onnx it runs as a graph");
  };
  if (model.has_layer("conv2_block1_preact_bn"))
    refuse("ResNet V2 (norm and ReLU before the convolutions)");
  if (model.has_layer("block1_conv1_bn")) refuse("Xception");
  if (model.has_layer("block1a_dwconv") || model.has_layer("block1b_project_conv"))
    refuse("EfficientNet");
  if (model.has_layer("conv_dw_1")) refuse("MobileNet (V1)");
}

// --- layouts ---

// Keras' kernel as torchvision's weight.
Tensor weight_of(const std::string& path, const Tensor& kernel, bool depthwise) {
  if (kernel.rank() == 2) {
    // VGG's first dense layer sees 7x7 maps, flattened row by row with the channels last.
    if (path == "classifier.0" && kernel.size(0) % 49 == 0) {
      const Tensor maps = kernel.reshape({7, 7, kernel.size(0) / 49, kernel.size(1)});
      return permuted(maps, {3, 2, 0, 1}).reshape({kernel.size(1), kernel.size(0)});
    }
    return permuted(kernel, {1, 0});
  }
  if (kernel.rank() != 4) return kernel;
  if (!depthwise) return permuted(kernel, {3, 2, 0, 1});
  const Tensor filters = permuted(kernel, {2, 3, 0, 1});  // [C,multiplier,R,S]: one group a channel
  return filters.reshape({filters.size(0) * filters.size(1), 1, filters.size(2), filters.size(3)});
}

// --- what else the model says ---

const KerasLayer* layer_in(const KerasModel& model, const std::string& name) {
  const auto found = model.layers.find(name);
  return found == model.layers.end() ? nullptr : &found->second;
}

constexpr const char* kConfigured = "the model's configuration";

void imply_eps(const KerasModel& model, const KerasFamily& family, Renamed& renamed) {
  if (family.eps == 0) return;  // no norms
  std::set<double> found;
  for (const KerasTensor& t : model.tensors)
    if (const KerasLayer* layer = layer_in(model, t.layer);
        layer && layer->has_epsilon && layer->kind.find("BatchNormalization") != std::string::npos)
      found.insert(layer->epsilon);
  GRAFT_CHECK(found.size() <= 1, "its batch norms have different epsilons (", join(found),
              "), which no network of graft has");
  if (!found.empty())
    renamed.eps = {*found.begin(), true, kConfigured};
  else
    renamed.eps = {family.eps, false, str("that of ", family.name, ", by the names")};
}

void imply_resnet(const KerasModel& model, const KerasFamily& family, Renamed& renamed) {
  const std::string by_names = str("that of ", family.name, ", by the names");
  const auto strides = [&](const char* modern, const char* old) {
    const KerasLayer* layer = layer_in(model, family.old_names ? old : modern);
    return layer && !layer->strides.empty() ? layer->strides[0] : 0;
  };
  const int64_t first = strides("conv3_block1_1_conv", "res3a_branch2a"),
                second = strides("conv3_block1_2_conv", "res3a_branch2b");
  if (first * second == 2)
    renamed.stride_in_3x3 = {second == 2, true, kConfigured};
  else
    renamed.stride_in_3x3 = {false, false, by_names};
  renamed.pool_pads = {{1, 1}, false, by_names};
  const KerasLayer *pad = layer_in(model, "pool1_pad"), *pool = layer_in(model, "pool1_pool");
  if (pad && pad->padding.size() == 4) {
    const auto& p = pad->padding;
    GRAFT_CHECK(p[0] == p[2] && p[1] == p[3] && p[0] >= 0 && p[0] <= 1 && p[1] >= 0 && p[1] <= 1,
                "pool1_pad pads by ", join(p), ", which no ResNet of graft does");
    renamed.pool_pads = {{p[0], p[1]}, true, kConfigured};
  } else if (pool && pool->padding_word == "same") {
    renamed.pool_pads = {{0, 1}, true, kConfigured};
  } else if (!pad && !model.layers.empty()) {
    renamed.pool_pads = {{0, 0}, true, "the model's configuration has no padding before the pool"};
  }
}

void imply_preprocess(const KerasFamily& family, Renamed& renamed) {
  const std::string_view name = family.name;
  const std::string why = "as keras.applications prepares images for it, by the names";
  if (name == "Keras DenseNet") return;  // ImageNet's usual one
  if (name == "Keras MobileNetV2") {
    io::Preprocess p = io::imagenet_preprocess(224);
    p.scale = 1 / 127.5;
    p.mean = p.deviation = {1, 1, 1};
    renamed.preprocess = {p, false, why};
    renamed.preprocess_text = "RGB / 127.5 - 1, 224x224";
    return;
  }
  renamed.preprocess = {caffe_preprocess({103.939, 116.779, 123.68}), false, why};
  renamed.preprocess_text = "BGR, 0 to 255, minus (103.939, 116.779, 123.68), 224x224";
}

// A dense layer of another name, alone of its kind, is the classifier of a model that someone
// trained further.
const KerasTensor* other_head(const KerasModel& model, const KerasFamily& family) {
  const KerasTensor* found = nullptr;
  for (const KerasTensor& t : model.tensors) {
    if (t.part != "kernel" || t.tensor.rank() != 2) continue;
    if (!family.path(model, t.layer).empty() || found != nullptr) return nullptr;
    found = &t;
  }
  return family.head ? found : nullptr;
}

void add_head_bias(Renamed& renamed, const char* head) {
  const Tensor weight = renamed.tensors.find(str(head, ".weight"));
  if (!weight.defined() || renamed.tensors.contains(str(head, ".bias"))) return;
  renamed.tensors.add(str(head, ".bias"), Tensor::zeros({weight.size(0)}));
}

// Norms without gamma or beta (scale or center off) have 1 and 0.
void fill_norms(StateDict& tensors) {
  std::vector<std::pair<std::string, Shape>> norms;
  for (const auto& [name, tensor] : tensors)
    if (name.ends_with(".running_var"))
      norms.emplace_back(name.substr(0, name.size() - 12), tensor.shape());
  for (const auto& [norm, shape] : norms) {
    if (!tensors.contains(norm + ".weight")) tensors.add(norm + ".weight", Tensor::full(shape, 1));
    if (!tensors.contains(norm + ".bias")) tensors.add(norm + ".bias", Tensor::zeros(shape));
  }
}

Renamed keras_renamed(const KerasFamily& family, const KerasModel& model) {
  Renamed renamed;
  renamed.ignored = model.ignored;
  std::string prefix;
  for (const KerasTensor& t : model.tensors)
    if (t.layer == family.marker) prefix = t.prefix;
  renamed.scheme = str(family.name, " names", prefix.empty() ? "" : str(" under '", prefix, "'"));
  const KerasTensor* head = other_head(model, family);
  for (const KerasTensor& t : model.tensors) {
    if (is_normalization(model, t)) continue;  // of images: imply_images reads it
    const bool is_head = head && t.layer == head->layer && t.prefix == head->prefix;
    if (t.prefix != prefix && !is_head) {
      renamed.ignored.push_back(t.file_name);
      continue;
    }
    const std::string path = is_head ? family.head : family.path(model, t.layer),
                      part = suffix_of(t.part);
    if (path.empty() || part.empty()) {
      renamed.tensors.add(t.file_name, t.tensor);  // unexpected, and reported so
      continue;
    }
    const std::string to = path + part;
    GRAFT_CHECK(!renamed.tensors.contains(to), "two tensors are the ", to, ": the second is ",
                t.file_name);
    renamed.tensors.add(to, part == ".weight" && t.part == "kernel"
                                ? weight_of(path, t.tensor, t.layer.ends_with("depthwise"))
                                : t.tensor);
    const KerasLayer* layer = layer_in(model, t.layer);
    if (layer && t.part == "kernel" && t.tensor.rank() == 2)
      renamed.head_activation = layer->activation;
    if (layer && layer->activation == "softmax" && t.part == "kernel")
      renamed.notes.push_back("the classifier's softmax is left out: the network gives logits");
  }
  if (head)
    renamed.notes.push_back(str("the dense layer '", head->layer,
                                "' is taken as the classifier behind the averaged features"));
  if (family.head) add_head_bias(renamed, family.head);
  fill_norms(renamed.tensors);
  imply_eps(model, family, renamed);
  if (family.path == res_path || family.path == old_res_path) imply_resnet(model, family, renamed);
  imply_preprocess(family, renamed);
  imply_images(model, renamed);
  renamed.same_padding = family.path == mobile_path;
  const Tensor stem = renamed.tensors.find("features.0.0.weight");
  GRAFT_CHECK(
      !renamed.same_padding || !stem.defined() || stem.size(0) == 32,
      "is a Keras MobileNetV2 of another width (", stem.size(0),
      " channels in its first convolution, 32 expected); exported with tf2onnx it runs as a graph");
  return renamed;
}

}  // namespace

bool is_keras_family(const io::WeightFile& file) {
  KerasModel model;
  try {
    model = keras_model(file);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    return false;  // variables that cannot be named: of no layers that the families have
  }
  return std::any_of(std::begin(kKerasFamilies), std::end(kKerasFamilies),
                     [&](const KerasFamily& family) { return model.has_layer(family.marker); });
}

std::optional<Renamed> rename_keras(const io::WeightFile& file) {
  const bool keras = file.format == "hdf5" || file.format == "keras";
  const bool may_be = std::any_of(file.tensors.begin(), file.tensors.end(), [](const auto& entry) {
    return entry.first.find('/') != std::string::npos;
  });
  if (!keras && !may_be) return std::nullopt;
  const KerasModel model = keras_model(file);
  refuse_without_twin(model);
  for (const KerasFamily& family : kKerasFamilies)
    if (model.has_layer(family.marker)) return keras_renamed(family, model);
  if (!keras) return std::nullopt;
  bad_input(
      "the layers' names are those of no Keras network that graft has (ResNet-50/101/152, "
      "VGG-16/19, MobileNetV2, DenseNet-121/169/201); exported with tf2onnx it runs as a graph");
}

}  // namespace graft::models
