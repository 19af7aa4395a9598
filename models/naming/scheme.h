// NamingScheme: one framework's names. A table in naming.cpp lists them all.
#pragma once
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "graft/models/naming/naming.h"

namespace graft::models {

struct NamingScheme {
  const char* name;
  // The scheme is known by a tensor whose name ends so; what stands before is the prefix of the
  // network.
  std::vector<const char*> markers{};
  // torchvision's name of a tensor, "" when it has none. `all`: every tensor, prefix removed.
  std::string (*rename)(const StateDict& all, const std::string& name);
  // What else the names say; may join and change tensors.
  void (*finish)(const StateDict& all, Renamed& renamed);
};

const NamingScheme& gluon_block_scheme();  // features.4.0.body.0.weight
const NamingScheme&
gluon_symbol_scheme();  // resnetv10_stage1_conv0_weight, resnetv1b_layers1_conv0_weight
const NamingScheme& gluon_v1b_scheme();       // layer1.0.bn1.gamma
const NamingScheme& caffe_scheme();           // res2a_branch2a_weight, bn2a_branch2a_mean
const NamingScheme& detectron_scheme();       // res2_0_branch2a_w, res2_0_branch2a_bn_s
const NamingScheme& detectron2_scheme();      // stem.conv1.weight, res2.0.conv1.norm.weight
const NamingScheme& transformers_scheme();    // embedder.embedder.convolution.weight
const NamingScheme& numbered_scheme();        // 4.0.conv1.weight
const NamingScheme& timm_mobilenet_scheme();  // conv_stem.weight, blocks.1.0.conv_pw.weight
const NamingScheme& timm_vgg_scheme();        // features.0.weight, pre_logits.fc1.weight

// "conv2_block1_1_conv/kernel" and the other names of Keras' applications, from any of Keras' file
// formats.
std::optional<Renamed> rename_keras(const io::WeightFile& file);

// Takes words and numbers off the front of a name.
class NameParser {
 public:
  explicit NameParser(std::string_view text) : rest_(text) {}
  bool word(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  bool number(int64_t& value) {
    const auto read = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (read.ec != std::errc() || value < 0 || value > 9999) return false;
    rest_.remove_prefix(static_cast<size_t>(read.ptr - rest_.data()));
    return true;
  }
  // "a" 0, "b" 1, and "b7" 7: how Caffe counts blocks.
  bool letter(int64_t& value) {
    if (rest_.empty() || rest_[0] < 'a' || rest_[0] > 'z') return false;
    value = rest_[0] - 'a';
    rest_.remove_prefix(1);
    int64_t counted = 0;
    if (value == 1 && number(counted)) value = counted;
    return true;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// "layer1.0.", from the ResNet stage (1 to 4) and block (from 0).
std::string block_path(int64_t stage, int64_t block);
// ".weight" for weight, w, kernel, gamma, s; ".bias", ".running_mean", ".running_var",
// ".num_batches_tracked"; "" otherwise.
std::string suffix_of(std::string_view part);

io::Preprocess caffe_preprocess(
    const std::vector<double>& bgr_mean);  // BGR, 0 to 255, minus the mean, 224x224

// Where norms are only a scale and a shift (their statistics went into them): into the convolution
// before, which gets a bias, and the norm is gone. Returns how many.
int64_t fold_affine_norms(StateDict& tensors);

}  // namespace graft::models
