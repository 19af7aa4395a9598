#include "graft/models/source_parts.h"

#include <algorithm>
#include <set>

#include "graft/core/base/error.h"
#include "graft/models/feature_family.h"

namespace graft::models {
namespace {

constexpr const char* kFirstConvolutions[] = {"conv1.weight", "conv1.0.weight",
                                              "features.conv0.weight", "features.0.0.weight",
                                              "features.0.weight"};

bool takes_images(const Tensor& weight) {
  return weight.rank() == 4 && (weight.size(1) == 1 || weight.size(1) == 3);
}

// The prefixes under which a ResNet's stages stand: "conv1" alone is a common name.
std::set<std::string, std::less<>> prefixes_of_stages(const StateDict& tensors) {
  std::set<std::string, std::less<>> prefixes;
  for (const auto& [name, tensor] : tensors) {
    const size_t at = name.find("layer1.");
    if (at != std::string::npos && (at == 0 || name[at - 1] == '.'))
      prefixes.insert(name.substr(0, at));
  }
  return prefixes;
}

// Every prefix under which something has the name of a first convolution over images, in order.
std::vector<std::string> candidates_in(const StateDict& tensors) {
  constexpr size_t most = 64;
  const auto stages = prefixes_of_stages(tensors);
  std::vector<std::string> found;
  for (const auto& [name, tensor] : tensors)
    for (const char* first : kFirstConvolutions) {
      if (!name.ends_with(first) || !takes_images(tensor)) continue;
      const std::string prefix = name.substr(0, name.size() - std::string_view(first).size());
      if ((prefix.empty() || prefix.back() == '.') && found.size() < most &&
          (!std::string_view(first).starts_with("conv1.") || stages.contains(prefix)) &&
          std::find(found.begin(), found.end(), prefix) == found.end())
        found.push_back(prefix);
    }
  return found;
}

// The word of a network that training moves, and of the copy that follows it.
constexpr std::pair<const char*, const char*> kFollowed[] = {
    {"encoder_q", "encoder_k"}, {"online", "target"}, {"base_encoder", "momentum_encoder"}};

void drop_followers(std::vector<std::string>& candidates, std::vector<std::string>& notes) {
  const std::vector<std::string> all = candidates;
  for (const auto& [word, follower] : kFollowed)
    std::erase_if(candidates, [&, word = word, follower = follower](const std::string& prefix) {
      const size_t at = prefix.find(follower);
      if (at == std::string::npos) return false;
      std::string trained = prefix;
      trained.replace(at, std::string_view(follower).size(), word);
      if (std::find(all.begin(), all.end(), trained) == all.end()) return false;
      notes.push_back(str("the network under '", trained, "' is taken; the one under '", prefix,
                          "' is its slowly following copy (--prefix chooses)"));
      return true;
    });
}

}  // namespace

io::WeightFile within_prefix(const io::WeightFile& file, const std::string& prefix,
                             std::vector<std::string>& left_out) {
  if (prefix.empty()) return file;
  io::WeightFile part = file;
  part.tensors = StateDict();
  std::vector<std::string> outside;
  const std::string with_dot = prefix.back() == '.' || prefix.back() == '/' ? prefix : prefix + ".";
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(with_dot))
      part.tensors.add(name, tensor);
    else
      outside.push_back(name);
  }
  GRAFT_CHECK(!part.tensors.empty(), "no tensor stands under the prefix '", with_dot,
              "'; networks stand under ", join(candidates_in(file.tensors)), " ('' is the root)");
  part.roots = {with_dot};
  left_out.insert(left_out.end(), outside.begin(), outside.end());
  return part;
}

std::string find_prefix(const io::WeightFile& file, std::vector<std::string>& notes) {
  std::vector<std::string> roots = file.roots;
  if (roots.empty()) roots = {""};
  const std::vector<std::string> all = candidates_in(file.tensors);
  for (const std::string& root : roots) {
    std::vector<std::string> candidates;
    for (const std::string& prefix : all)
      if (prefix.starts_with(root)) candidates.push_back(prefix);
    if (candidates.empty()) continue;
    const bool at_root = std::find(candidates.begin(), candidates.end(), root) != candidates.end();
    if (at_root && candidates.size() > 1)
      notes.push_back(str("networks stand under ", join(candidates),
                          "; the one at the root is taken, --prefix chooses"));
    if (at_root) return root;
    drop_followers(candidates, notes);
    GRAFT_CHECK(candidates.size() == 1, "several networks stand in the file, under ",
                join(candidates), "; --prefix P says which one is meant");
    return candidates[0];
  }
  for (const std::string& root : roots)  // damaged ones: the message is about their shape
    for (const char* wrapper : {"", "module.", "model.", "backbone."})
      if (!first_convolution(file.tensors, root + wrapper).empty()) return root + wrapper;
  return roots.front();
}

namespace {

// Top-level modules of a ResNet's state dict that stand behind its last stage, whatever they hold.
bool is_head_name(const std::string& module) {
  static const std::set<std::string, std::less<>> names = {"fc",        "head",
                                                           "heads",     "classifier",
                                                           "projector", "projection",
                                                           "predictor", "projection_head",
                                                           "proj",      "linear",
                                                           "mlp",       "prototypes",
                                                           "avgpool",   "global_pool",
                                                           "dropout",   "last_linear",
                                                           "logits",    "output",
                                                           "out",       "pooling",
                                                           "final",     "classification_head"};
  const bool is_number =
      !module.empty() && module.find_first_not_of("0123456789") == std::string::npos;
  return is_number ||
         names.contains(module);  // of numbered layers those of the backbone have names by now
}

template <class Drops>
std::vector<std::string> drop(StateDict& tensors, const Drops& drops) {
  StateDict kept;
  std::vector<std::string> dropped;
  for (const auto& [name, tensor] : tensors) {
    if (drops(name))
      dropped.push_back(name);
    else
      kept.add(name, tensor);
  }
  if (!dropped.empty()) tensors = std::move(kept);
  return dropped;
}

std::vector<std::string> drop_resnet_head(SourceNetwork& source, ResNetConfig& config) {
  const Tensor weight = source.tensors.find("fc.weight");
  bool own = !weight.defined() || weight.rank() == 2;
  for (const auto& [name, tensor] : source.tensors)
    own = own && (!name.starts_with("fc.") || name == "fc.weight" || name == "fc.bias");
  std::vector<std::string> dropped = drop(source.tensors, [&](const std::string& name) {
    const std::string module = name.substr(0, name.find('.'));
    return is_head_name(module) && (module != "fc" || !own);
  });
  if (!own) config.classes = 0;
  return dropped;
}

std::vector<std::string> drop_feature_head(SourceNetwork& source, FeatureConfig& config) {
  const std::string head = feature_head_path(config);
  const std::vector<std::string>& hidden = feature_family(config.name).hidden;
  bool own = true;
  for (const auto& [name, tensor] : source.tensors) {
    if (!name.starts_with("classifier.")) continue;
    const std::string layer = name.substr(0, name.rfind('.'));
    own = own && (layer == head || std::find(hidden.begin(), hidden.end(), layer) != hidden.end());
  }
  if (own) return {};
  config.classes = 0;
  config.linear_head = true;
  return drop(source.tensors,
              [](const std::string& name) { return name.starts_with("classifier."); });
}

}  // namespace

std::vector<std::string> drop_other_head(SourceNetwork& source) {
  if (auto* resnet = std::get_if<ResNetConfig>(&source.architecture))
    return drop_resnet_head(source, *resnet);
  if (auto* features = std::get_if<FeatureConfig>(&source.architecture))
    return drop_feature_head(source, *features);
  return {};
}

}  // namespace graft::models
