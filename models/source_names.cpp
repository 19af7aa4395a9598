// A state dict read as one of our networks: the prefix its names stand under, then its blocks, by
// names and shapes.
#include <algorithm>
#include <charconv>

#include "graft/models/feature_builder.h"
#include "graft/models/naming/keras_images.h"
#include "graft/models/naming/naming.h"
#include "graft/models/naming/reparametrised.h"
#include "graft/models/preprocess_guess.h"
#include "graft/models/segmentation/torchvision_names.h"
#include "graft/models/source_parts.h"

namespace graft::models {
namespace {

// How many blocks "layerL.0.", "layerL.1." ... the file has; gaps show as missing tensors later.
int64_t count_blocks(const StateDict& tensors, const std::string& layer) {
  int64_t blocks = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(layer + ".")) continue;
    int64_t index = -1;
    const char* begin = name.data() + layer.size() + 1;
    std::from_chars(begin, name.data() + name.size(), index);
    if (index < 1000) blocks = std::max(blocks, index + 1);
  }
  return blocks;
}

int64_t head_classes(const StateDict& tensors, const std::string& head) {
  const Tensor weight = tensors.find(head + ".weight");
  return weight.defined() && weight.rank() >= 1 ? weight.size(0) : 0;
}

Architecture cifar_architecture(const StateDict& tensors, const std::string& arch) {
  CifarResNetConfig config;
  config.depth = 6 * count_blocks(tensors, "layer1") + 2;
  config.in_channels = tensors.at("conv1.weight").size(1);
  config.classes = head_classes(tensors, "linear");
  GRAFT_CHECK(config.depth >= 8 && config.depth < 6000 && config.classes > 0,
              "the names are those of a CIFAR ResNet, but ",
              config.classes > 0 ? "it has no blocks" : "linear.weight is missing");
  GRAFT_CHECK(arch.empty() || arch == name_of(config), "the file holds ", name_of(config), ", not ",
              arch);
  return config;
}

// Relatives of the ResNets that graft does not have, by what tells them apart.
void refuse_relatives(const StateDict& tensors) {
  const auto refuse = [](const std::string& what) {
    bad_input("this is a ", what,
              ", which graft does not have; exported to ONNX it runs as a graph");
  };
  for (const auto& [part, name] :
       {std::pair{"layer1.0.convs.0.weight", "Res2Net (several convolutions side by side)"},
        std::pair{"layer1.0.conv2.conv.weight", "ResNeSt or SK-ResNet (attention over branches)"},
        std::pair{"attnpool.c_proj.weight", "ResNet of CLIP (a pool by attention)"},
        std::pair{"layer1.0.se_module.fc1.weight",
                  "SE-ResNet of the legacy kind (its own stem and strides)"}})
    if (tensors.contains(part)) refuse(name);
  if (!tensors.contains("layer1.0.conv1.weight")) return;
  const bool statistics = std::any_of(tensors.begin(), tensors.end(), [](const auto& entry) {
    return entry.first.ends_with("running_mean");
  });
  if (!statistics && tensors.contains("layer1.0.norm1.weight"))
    refuse("ResNet with group norms (BiT)");
}

// The widths of a stem of several 3x3 convolutions, conv1.0, conv1.3 ...; empty for another.
std::vector<int64_t> stem_widths(const StateDict& tensors) {
  std::vector<int64_t> widths;
  for (int i = 0;; i += 3) {
    const Tensor conv = tensors.find(str("conv1.", i, ".weight"));
    if (!conv.defined() || conv.rank() != 4) return widths;
    GRAFT_CHECK(conv.size(2) == 3, "conv1.", i, ".weight ", conv.shape(),
                " is not of a 3x3 convolution");
    widths.push_back(conv.size(0));
  }
}

// Groups and width of a bottleneck's 3x3, from the first one.
void read_widths(const StateDict& tensors, ResNetConfig& config) {
  const Tensor middle = tensors.find("layer1.0.conv2.weight");
  if (!config.bottleneck || !middle.defined() || middle.rank() != 4) return;
  const int64_t out = middle.size(0), in = middle.size(1);
  if (in < 1 || out % in != 0 || (out == in && out <= 64)) return;  // load says what does not fit
  config.groups = out / in;
  config.base_width = in;
}

void read_attention(const StateDict& tensors, ResNetConfig& config) {
  if (tensors.contains("layer1.0.se.fc1.weight")) config.attention = ChannelAttention::squeeze;
  if (tensors.contains("layer1.0.se.conv.weight")) config.attention = ChannelAttention::eca;
}

ResNetConfig resnet_architecture(const StateDict& tensors, const std::string& arch) {
  std::vector<int64_t> depths;
  for (int stage = 1; stage <= 4; ++stage)
    if (const int64_t blocks = count_blocks(tensors, "layer" + std::to_string(stage)); blocks > 0) {
      GRAFT_CHECK(std::ssize(depths) == stage - 1, "layer", stage - 1, " is missing although layer",
                  stage, " is there");
      depths.push_back(blocks);
    }
  GRAFT_CHECK(!depths.empty(), "no tensor is named layer1.*: this is no ResNet");
  ResNetConfig found;
  found.bottleneck = tensors.contains("layer1.0.conv3.weight");
  found.stem = stem_widths(tensors);
  for (const auto& [name, tensor] : tensors)
    found.average_down =
        found.average_down || (name.ends_with(".0.downsample.1.weight") && tensor.rank() == 4);
  read_widths(tensors, found);
  read_attention(tensors, found);
  const Tensor stem = tensors.at(found.stem.empty() ? "conv1.weight" : "conv1.0.weight");
  found.small_stem = found.stem.empty() && stem.size(2) == 3;
  ResNetConfig config = resnet_named(found, depths, arch);
  config.stages = std::ssize(depths);
  config.in_channels = stem.size(1);
  config.classes = head_classes(tensors, "fc");
  return config;
}

// "norm.1", "conv.2" in dense layers, as torchvision's oldest files have them, become "norm1",
// "conv2".
StateDict without_dots(StateDict tensors) {
  StateDict renamed;
  for (const auto& [name, tensor] : tensors) {
    std::string to = name;
    for (const char* part : {".norm.1.", ".norm.2.", ".conv.1.", ".conv.2."})
      if (const size_t at = to.find(part); at != std::string::npos && to.find("denselayer") < at)
        to.erase(at + 5, 1);
    renamed.add(to, tensor);
  }
  return renamed;
}

}  // namespace

std::string first_convolution(const StateDict& tensors, const std::string& prefix) {
  for (const char* name : {"conv1.weight", "conv1.0.weight", "features.conv0.weight",
                           "features.0.0.weight", "features.0.weight"})
    if (tensors.contains(prefix + name)) return prefix + name;
  return "";
}

ResNetConfig resnet_named(const ResNetConfig& found, const std::vector<int64_t>& depths,
                          const std::string& arch) {
  std::vector<ResNetConfig> fitting, as_deep;
  for (const std::string& name : resnet_names()) {
    const ResNetConfig row = resnet_config(name);
    if (row.bottleneck != found.bottleneck ||
        !std::equal(depths.begin(), depths.end(), row.depths.begin()))
      continue;
    if (is_same_kind(row, found)) fitting.push_back(row);
    as_deep.push_back(row);
  }
  const std::string text = str(found.bottleneck ? "bottleneck" : "basic", " blocks ",
                               join(depths, "-"), variant_text(found));
  GRAFT_CHECK(!as_deep.empty(), text, " are no ResNet that graft knows");
  if (fitting.empty()) {  // no name for it: "resnet50", and describe() says the rest
    ResNetConfig config = found;
    config.depths = as_deep.front().depths;
    config.name =
        str("resnet", 2 + (found.bottleneck ? 3 : 2) * (config.depths[0] + config.depths[1] +
                                                        config.depths[2] + config.depths[3]));
    fitting = {config};
  }
  if (arch.empty()) return fitting.front();
  const auto wanted = std::find_if(fitting.begin(), fitting.end(),
                                   [&](const ResNetConfig& c) { return c.name == arch; });
  GRAFT_CHECK(wanted != fitting.end(), "the file's ", text, " are ", fitting.front().name, ", not ",
              arch);
  return *wanted;
}

namespace {

// The network that torchvision's names and shapes tell; whose names they are.
const char* find_architecture(SourceNetwork& source, const std::string& arch) {
  refuse_relatives(source.tensors);
  const std::string first = first_convolution(source.tensors);
  const Tensor stem = source.tensors.find(first);
  GRAFT_CHECK(stem.defined() && stem.rank() == 4,
              "no tensor has the name of a first convolution (conv1.weight, features.0.weight "
              "...): graft knows the names of torchvision's ResNets, VGGs, SqueezeNets, DenseNets, "
              "MobileNets and EfficientNets, of the CIFAR ResNets, of timm and transformers, and "
              "of Gluon's, "
              "Caffe's, Detectron's and Keras' ResNets; the file has ",
              source.tensors.size() + source.ignored.size(), " tensors",
              source.tensors.empty() ? "" : ", the first is ",
              source.tensors.empty() ? "" : source.tensors.begin()->first);
  const bool resnet = first == "conv1.weight" || first == "conv1.0.weight";
  const bool cifar = first == "conv1.weight" && stem.size(2) == 3 && stem.size(0) == 16;
  if (resnet) {
    source.architecture = cifar ? cifar_architecture(source.tensors, arch)
                                : resnet_architecture(source.tensors, arch);
    if (const auto* c = std::get_if<ResNetConfig>(&source.architecture); c && c->small_stem)
      source.notes.push_back(
          "the stem is one 3x3 convolution, taken to have no stride and no pool behind it, as in "
          "ResNets for small images (guessed)");
    return cifar ? "CIFAR ResNet" : "torchvision";
  }
  source.tensors = without_dots(std::move(source.tensors));
  const FeatureConfig config = feature_config_of(source.tensors);
  GRAFT_CHECK(!config.name.empty(), "the file has a ", first,
              ", but is no VGG, SqueezeNet, DenseNet, MobileNet or EfficientNet of torchvision");
  GRAFT_CHECK(arch.empty() || arch == config.name, "the file holds ", config.name, ", not ", arch);
  source.architecture = config;
  return "torchvision";
}

// What the scheme says beside the tensors, into the architecture and with its reason for the
// certificate.
void apply_implied(const Renamed& renamed, SourceNetwork& source) {
  if (renamed.eps) {
    EncoderArchitecture network = encoder_architecture(source.architecture);
    std::visit([&](auto& config) { config.eps = renamed.eps->value; }, network);
    source.architecture = whole_architecture(network);
    source.eps = {str(renamed.eps->value), renamed.eps->known, renamed.eps->why};
  }
  if (renamed.preprocess) {
    source.images = renamed.preprocess->value;
    source.preprocess = {renamed.preprocess_text, renamed.preprocess->known,
                         renamed.preprocess->why};
  }
  source.head_activation = renamed.head_activation;
  if (renamed.image_size > 0 && source.images) {
    apply_geometry(renamed, *source.images);
    source.preprocess.what = text_of(*source.images);
  }
  if (auto* features = std::get_if<FeatureConfig>(&source.architecture);
      features && renamed.same_padding)
    features->name = kMobileNetTf;
  auto* config = std::get_if<ResNetConfig>(&source.architecture);
  if (!config) return;
  if (renamed.stride_in_3x3 && config->bottleneck) {
    config->stride_in_3x3 = renamed.stride_in_3x3->value;
    source.stride = {config->stride_in_3x3 ? kStrideV15 : kStrideV1, renamed.stride_in_3x3->known,
                     renamed.stride_in_3x3->why};
  }
  if (renamed.pool_pads) {
    config->pool_pad_begin = renamed.pool_pads->value[0];
    config->pool_pad_end = renamed.pool_pads->value[1];
    source.stem_pool = {pool_text(*config), renamed.pool_pads->known, renamed.pool_pads->why};
  }
}

SourceNetwork renamed_source(Renamed renamed, const io::WeightFile& file, const std::string& arch) {
  SourceNetwork source;
  source.tensors = std::move(renamed.tensors);
  source.ignored = renamed.ignored;
  source.notes = file.notes;
  source.notes.insert(source.notes.end(), renamed.notes.begin(), renamed.notes.end());
  source.naming = renamed.scheme;
  find_architecture(source, renamed.same_padding && arch == kMobileNetTf ? "mobilenet_v2" : arch);
  apply_implied(renamed, source);
  return source;
}

}  // namespace

std::string pool_text(const ResNetConfig& config) {
  return str("padded ", config.pool_pad_begin, " at the start, ", config.pool_pad_end,
             " at the end");
}

SourceNetwork source_from_names(const io::WeightFile& whole, const std::string& arch,
                                const std::string& wanted) {
  SourceNetwork source;
  std::vector<std::string> left_out;
  io::WeightFile file = within_prefix(whole, wanted, left_out);
  file.tensors = fold_reparametrised(file.tensors, file.notes);
  if (auto renamed = rename_to_torchvision(file)) {
    source = renamed_source(std::move(*renamed), file, arch);
  } else {
    source.notes = file.notes;
    const std::string prefix = find_prefix(file, source.notes);
    for (const auto& [name, tensor] : file.tensors) {
      if (name.starts_with(prefix))
        source.tensors.add(name.substr(prefix.size()), tensor);
      else
        source.ignored.push_back(name);
    }
    const std::string network = find_architecture(source, arch);
    source.naming = str(network, " names", prefix.empty() ? "" : str(" under '", prefix, "'"));
    take_torchvision_decoder(file.tensors, prefix, source);
  }
  source.dropped = drop_other_head(source);
  source.ignored.insert(source.ignored.end(), left_out.begin(), left_out.end());
  return source;
}

}  // namespace graft::models
