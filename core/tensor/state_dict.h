// An ordered list of named tensors: what files hold and modules load. Plain data, no structure but
// the names.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft {

class GRAFT_API StateDict {
 public:
  using Entry = std::pair<std::string, Tensor>;

  // Appends; bad_input when the name is taken.
  void add(std::string name, Tensor tensor);
  // Replaces or appends.
  void set(const std::string& name, Tensor tensor);
  // Undefined tensor when absent.
  Tensor find(std::string_view name) const;
  // bad_input when absent.
  Tensor at(std::string_view name) const;
  bool contains(std::string_view name) const { return index_.contains(name); }
  void erase(std::string_view name);
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  // The entries whose names start with `prefix`, with it removed.
  StateDict with_prefix_removed(std::string_view prefix) const;

 private:
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace graft
