#include "graft/core/tensor/state_dict.h"

namespace graft {

void StateDict::add(std::string name, Tensor tensor) {
  GRAFT_CHECK(!contains(name), "the tensor name '", name, "' occurs twice");
  index_[name] = entries_.size();
  entries_.emplace_back(std::move(name), std::move(tensor));
}

void StateDict::set(const std::string& name, Tensor tensor) {
  if (const auto found = index_.find(name); found != index_.end())
    entries_[found->second].second = std::move(tensor);
  else
    add(name, std::move(tensor));
}

Tensor StateDict::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? Tensor() : entries_[found->second].second;
}

Tensor StateDict::at(std::string_view name) const {
  const Tensor tensor = find(name);
  GRAFT_CHECK(tensor.defined(), "there is no tensor named '", name, "'");
  return tensor;
}

void StateDict::erase(std::string_view name) {
  const auto found = index_.find(name);
  if (found == index_.end()) return;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(found->second));
  index_.clear();
  for (size_t i = 0; i < entries_.size(); ++i) index_[entries_[i].first] = i;
}

StateDict StateDict::with_prefix_removed(std::string_view prefix) const {
  StateDict result;
  for (const auto& [name, tensor] : entries_)
    if (std::string_view(name).starts_with(prefix)) result.add(name.substr(prefix.size()), tensor);
  return result;
}

}  // namespace graft
