// A Keras file's tensors by the layer that they belong to, in any of Keras' layouts.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "graft/io/weights/weights.h"

namespace graft::models::keras {

// Where a layer stands: the names of the models around it and its own, without the outermost
// model's, and its key in Keras 3's numbered layout.
struct LayerPath {
  std::vector<std::string> names{};
  std::string key{};

  std::string text() const;  // "resnet50/conv1_conv"
};

class Variables {
 public:
  explicit Variables(const io::WeightFile& file);
  virtual ~Variables() = default;
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

  // Variable number `index` of the layer, which Keras calls by one of `parts`; bad_input when it is
  // missing or its shape is not `extents`, of which -1 fits any.
  virtual Tensor take(const LayerPath& layer, int64_t index, const std::vector<std::string>& parts,
                      const std::vector<int64_t>& extents);
  // Those that nothing took, in two lists: of layers, and what stands beside a network (optimizer
  // state, seeds, counters).
  void leftovers(std::vector<std::string>& layers, std::vector<std::string>& beside) const;

 protected:
  Variables() = default;

 private:
  const std::string* find(const LayerPath& layer, int64_t index,
                          const std::vector<std::string>& parts) const;
  const std::string* find_numbered(const LayerPath& layer, int64_t index) const;
  const std::string* find_named(const LayerPath& layer, const std::string& part) const;

  std::map<std::string, std::string> paths_;  // without the root and ":0" -> the file's name
  std::map<std::string, std::string> names_;  // of layers, by the path of their variables
  std::map<std::string, Tensor> tensors_;
  std::set<std::string> taken_;
  bool numbered_ = false;
  mutable int64_t compared_ = 0;  // names, in searches of a whole group
};

}  // namespace graft::models::keras
