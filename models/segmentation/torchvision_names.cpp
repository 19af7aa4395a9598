#include "graft/models/segmentation/torchvision_names.h"

#include <algorithm>

namespace graft::models {
namespace {

constexpr std::string_view kBackbone = "backbone.";
// Its constructors ask for replace_stride_with_dilation=[False, True, True].
constexpr int64_t kTorchvisionStride = 8;

// "deeplabv3", "fcn"; "" for another head. A convolution comes last in both.
std::string decoder_under(const StateDict& tensors, const std::string& head) {
  const Tensor last = tensors.find(head + "4.weight");
  if (!last.defined() || last.rank() != 4 || last.size(0) < 1) return "";
  if (tensors.contains(head + "0.convs.0.0.weight")) return "deeplabv3";
  const Tensor first = tensors.find(head + "0.weight");
  return first.defined() && first.rank() == 4 ? "fcn" : "";
}

}  // namespace

void take_torchvision_decoder(const StateDict& tensors, const std::string& prefix,
                              SourceNetwork& source) {
  const auto* resnet = std::get_if<ResNetConfig>(&source.architecture);
  if (!resnet || !prefix.ends_with(kBackbone) || resnet->classes > 0) return;
  const std::string root = prefix.substr(0, prefix.size() - kBackbone.size()),
                    head = root + "classifier.", other_head = root + "aux_classifier.";
  const std::string decoder = decoder_under(tensors, head);
  if (decoder.empty()) return;
  const Tensor last = tensors.at(head + "4.weight");
  source.architecture = SegmentationConfig{.encoder = *resnet,
                                           .decoder = decoder,
                                           .widths = {last.size(1)},
                                           .classes = last.size(0),
                                           .output_stride = kTorchvisionStride};
  int64_t left_out = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(head)) source.tensors.add("decoder." + name.substr(head.size()), tensor);
    left_out += name.starts_with(other_head);
  }
  std::erase_if(source.ignored, [&](const std::string& name) { return name.starts_with(head); });
  source.naming = str("torchvision's names of segmentation (", prefix, ", ", head, ")");
  source.notes.push_back(str("strides beyond ", kTorchvisionStride,
                             " are taken to be dilation, as in torchvision's ", decoder,
                             " networks; a state dict does not say"));
  if (left_out > 0)
    source.notes.push_back(str("the auxiliary head (", left_out, " tensors under ", other_head,
                               ") is left out: graft runs and trains the main one alone"));
}

}  // namespace graft::models
