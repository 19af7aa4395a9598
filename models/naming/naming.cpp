#include "graft/models/naming/naming.h"

#include <algorithm>

#include "graft/models/naming/scheme.h"

namespace graft::models {
namespace {

// Whether the marker's first word is a whole one, where it is a number ("4.0", not "layer4.0").
bool begins_a_name(const std::string& name, const std::string& marker) {
  const size_t at = name.size() - marker.size();
  return marker[0] < '0' || marker[0] > '9' || at == 0 || name[at - 1] == '.';
}

// What stands before `marker` in the shortest name that ends with it, under one of the file's
// roots.
std::optional<std::string> prefix_before(const io::WeightFile& file, const std::string& marker) {
  std::vector<std::string> roots = file.roots;
  if (roots.empty()) roots = {""};
  for (const std::string& root : roots) {
    const std::string* shortest = nullptr;
    for (const auto& [name, tensor] : file.tensors)
      if (name.starts_with(root) && name.ends_with(marker) && begins_a_name(name, marker) &&
          (shortest == nullptr || name.size() < shortest->size()))
        shortest = &name;
    if (shortest) return shortest->substr(0, shortest->size() - marker.size());
  }
  return std::nullopt;
}

Renamed renamed_by(const NamingScheme& scheme, const io::WeightFile& file,
                   const std::string& prefix) {
  Renamed renamed;
  renamed.scheme = str(scheme.name, prefix.empty() ? "" : str(" under '", prefix, "'"));
  StateDict all;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix))
      all.add(name.substr(prefix.size()), tensor);
    else
      renamed.ignored.push_back(name);
  }
  for (const auto& [name, tensor] : all) {
    const std::string to = scheme.rename(all, name);
    GRAFT_CHECK(to.empty() || !renamed.tensors.contains(to), "two tensors are the ", to, " of ",
                scheme.name, ": the second is ", prefix, name);
    renamed.tensors.add(to.empty() ? name : to, tensor);
  }
  scheme.finish(all, renamed);
  return renamed;
}

Tensor scaled_rows(const Tensor& weight, const std::vector<double>& scale) {
  std::vector<double> w = weight.to_doubles();
  const size_t each = w.size() / scale.size();
  for (size_t k = 0; k < scale.size(); ++k)
    for (size_t i = 0; i < each; ++i) w[k * each + i] *= scale[k];
  return Tensor::of(weight.shape(), w).to(DType::f32);
}

}  // namespace

std::optional<Renamed> rename_to_torchvision(const io::WeightFile& file) {
  if (file.format == "onnx") return std::nullopt;
  for (const auto* scheme :
       {&gluon_block_scheme(), &gluon_v1b_scheme(), &gluon_symbol_scheme(), &caffe_scheme(),
        &detectron_scheme(), &detectron2_scheme(), &transformers_scheme(), &numbered_scheme(),
        &timm_mobilenet_scheme(), &timm_vgg_scheme()})
    for (const char* marker : scheme->markers)
      if (const auto prefix = prefix_before(file, marker))
        return renamed_by(*scheme, file, *prefix);
  return rename_keras(file);
}

std::string block_path(int64_t stage, int64_t block) {
  return str("layer", stage, ".", block, ".");
}

std::string suffix_of(std::string_view part) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), part) != words.end();
  };
  if (is_one_of({"weight", "weights", "w", "W", "kernel", "gamma", "s"})) return ".weight";
  if (is_one_of({"bias", "biases", "b", "beta"})) return ".bias";
  if (is_one_of({"mean", "moving_mean", "running_mean"})) return ".running_mean";
  if (is_one_of({"variance", "var", "moving_var", "moving_variance", "running_var"}))
    return ".running_var";
  return part == "num_batches_tracked" ? ".num_batches_tracked" : "";
}

io::Preprocess caffe_preprocess(const std::vector<double>& bgr_mean) {
  io::Preprocess p = io::imagenet_preprocess(224);
  p.bgr = true;
  p.scale = 1;
  p.mean = bgr_mean;
  p.deviation = {1, 1, 1};
  return p;
}

int64_t fold_affine_norms(StateDict& tensors) {
  std::vector<std::string> norms;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(".weight") || tensor.rank() != 1) continue;
    const std::string norm = name.substr(0, name.size() - 7);
    if (tensors.contains(norm + ".bias") && !tensors.contains(norm + ".running_mean") &&
        !tensors.contains(norm + ".running_var"))
      norms.push_back(norm);
  }
  int64_t folded = 0;
  for (const std::string& norm : norms) {
    std::string conv = norm;  // "layer1.0.bn2" -> "layer1.0.conv2", "layer1.0.downsample.1" ->
                              // "layer1.0.downsample.0"
    if (const size_t at = conv.rfind("bn"); at != std::string::npos)
      conv.replace(at, 2, "conv");
    else if (conv.ends_with("downsample.1"))
      conv.back() = '0';
    const Tensor weight = tensors.find(conv + ".weight");
    const Tensor scale = tensors.at(norm + ".weight"), shift = tensors.at(norm + ".bias");
    if (!weight.defined() || weight.rank() != 4 || scale.shape() != Shape{weight.size(0)} ||
        shift.shape() != scale.shape())
      continue;
    const std::vector<double> factors = scale.to_doubles();
    tensors.set(conv + ".weight", scaled_rows(weight, factors));
    std::vector<double> bias = shift.to_doubles();
    if (const Tensor own = tensors.find(conv + ".bias");
        own.defined() && own.shape() == shift.shape()) {
      const std::vector<double> before = own.to_doubles();
      for (size_t k = 0; k < bias.size(); ++k) bias[k] += factors[k] * before[k];
    }
    tensors.set(conv + ".bias", Tensor::of(shift.shape(), bias).to(DType::f32));
    tensors.erase(norm + ".weight");
    tensors.erase(norm + ".bias");
    ++folded;
  }
  return folded;
}

}  // namespace graft::models
