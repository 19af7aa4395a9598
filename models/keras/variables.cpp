#include "graft/models/keras/variables.h"

#include "graft/core/base/error.h"
#include "graft/io/weights/hdf5.h"

namespace graft::models::keras {
namespace {

constexpr int64_t kMostCompared = 20'000'000;

std::string without_root(std::string path) {
  for (const char* root : {"model_weights/", "_layer_checkpoint_dependencies/"})
    if (path.starts_with(root)) path = path.substr(std::string_view(root).size());
  for (const char* within : {"/_layer_checkpoint_dependencies/"})
    for (size_t at = path.find(within); at != std::string::npos; at = path.find(within))
      path.replace(at, std::string_view(within).size(), "/layers/");
  if (const size_t colon = path.rfind(':'); colon != std::string::npos && colon + 2 == path.size())
    path.resize(colon);
  return path;
}

bool fits(const Tensor& tensor, const std::vector<int64_t>& extents) {
  if (tensor.rank() != static_cast<int>(extents.size())) return false;
  for (size_t axis = 0; axis < extents.size(); ++axis)
    if (extents[axis] >= 0 && tensor.size(static_cast<int>(axis)) != extents[axis]) return false;
  return true;
}

std::string shape_text(const std::vector<int64_t>& extents) {
  std::vector<std::string> words;
  for (const int64_t extent : extents) words.push_back(extent < 0 ? "?" : std::to_string(extent));
  return "[" + join(words, ",") + "]";
}

}  // namespace

std::string LayerPath::text() const { return join(names, "/"); }

Variables::Variables(const io::WeightFile& file) {
  for (const auto& [name, tensor] : file.tensors) {
    const std::string path = without_root(name);
    paths_.emplace(path, name);
    tensors_.emplace(name, tensor);
    numbered_ = numbered_ || path.find("/vars/") != std::string::npos;
  }
  for (const auto& [key, text] : file.metadata)
    if (key.starts_with(io::kKerasNameKey))
      names_[without_root(key.substr(std::string_view(io::kKerasNameKey).size()))] = text;
}

const std::string* Variables::find_numbered(const LayerPath& layer, int64_t index) const {
  const auto at = [&](const std::string& key) -> const std::string* {
    const auto found = paths_.find(str(key, "/vars/", index));
    return found == paths_.end() ? nullptr : &found->second;
  };
  for (const std::string& key : {layer.key, layer.key.substr(layer.key.find('/') + 1)}) {
    const auto named = names_.find(key + "/vars");
    if (named == names_.end() || named->second == layer.names.back())
      if (const std::string* found = at(key)) return found;
  }
  // The file knows the layer by its name under another number.
  const std::string around = layer.key.substr(0, layer.key.rfind('/') + 1);
  for (auto name = names_.lower_bound(around);
       name != names_.end() && name->first.starts_with(around); ++name) {
    const std::string path = name->first.substr(0, name->first.rfind('/'));
    if (name->second == layer.names.back() && name->first == path + "/vars" &&
        path.find('/', around.size()) == std::string::npos)
      if (const std::string* found = at(path)) return found;
  }
  return nullptr;
}

// "conv1/conv1/kernel", "resnet50/conv1/kernel", "inner/inner/conv1/kernel",
// "dense/sequential/dense/kernel", "conv1/kernel", "conv1_W"; in the group of a layer outside of
// models any one tensor of that part.
const std::string* Variables::find_named(const LayerPath& layer, const std::string& part) const {
  const std::string &group = layer.names.front(), &leaf = layer.names.back();
  const std::string whole = layer.text();
  for (const std::string& path :
       {str(group, "/", whole, "/", part), str(group, "/", leaf, "/", part), str(whole, "/", part),
        str(leaf, "/", part)})
    if (const auto found = paths_.find(path); found != paths_.end()) return &found->second;
  const std::string *by_leaf = nullptr, *by_part = nullptr;
  int leaves = 0, parts = 0;
  for (auto path = paths_.lower_bound(group + "/");
       path != paths_.end() && path->first.starts_with(group + "/"); ++path) {
    GRAFT_CHECK(++compared_ <= kMostCompared, "its variables have names that fit no layers");
    if (path->first.ends_with(str("/", leaf, "/", part))) by_leaf = &path->second, ++leaves;
    if (path->first.ends_with("/" + part)) by_part = &path->second, ++parts;
  }
  if (leaves == 1) return by_leaf;
  return parts == 1 && layer.names.size() == 1 ? by_part : nullptr;
}

const std::string* Variables::find(const LayerPath& layer, int64_t index,
                                   const std::vector<std::string>& parts) const {
  if (numbered_) return find_numbered(layer, index);
  for (const std::string& part : parts)
    if (const std::string* found = find_named(layer, part)) return found;
  return nullptr;
}

Tensor Variables::take(const LayerPath& layer, int64_t index, const std::vector<std::string>& parts,
                       const std::vector<int64_t>& extents) {
  const std::string* name = find(layer, index, parts);
  GRAFT_CHECK(name, "the file has no ", parts.at(0), " for the layer '", layer.text(), "'");
  const Tensor& tensor = tensors_.at(*name);
  GRAFT_CHECK(fits(tensor, extents), "the ", parts[0], " ", *name, " has the shape ",
              tensor.shape(), ", and the layer '", layer.text(), "' wants ", shape_text(extents));
  GRAFT_CHECK(is_floating(tensor.dtype()) || parts[0] == "count", "the ", parts[0], " ", *name,
              " is ", name_of(tensor.dtype()), ": quantized Keras models are not read");
  taken_.insert(*name);
  return tensor.to(DType::f32);
}

void Variables::leftovers(std::vector<std::string>& layers,
                          std::vector<std::string>& beside) const {
  for (const auto& [path, name] : paths_) {
    if (taken_.contains(name)) continue;
    const bool is_beside = path.starts_with("optimizer") ||
                           !is_floating(tensors_.at(name).dtype()) ||
                           path.find("seed_generator") != std::string::npos ||
                           path.find("top_level_model_weights") != std::string::npos;
    (is_beside ? beside : layers).push_back(name);
  }
}

}  // namespace graft::models::keras
