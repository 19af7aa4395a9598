#include "graft/layers/modules/module.h"

#include <algorithm>

#include "graft/core/tensor/device_backend.h"

namespace graft {
namespace {

std::string child_path(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

bool is_optional(std::string_view name) { return name.ends_with("num_batches_tracked"); }

}  // namespace

Tensor& Module::register_parameter(std::string name, Tensor tensor) {
  set_requires_grad(tensor, true);
  parameters_.emplace_back(std::move(name), std::make_unique<Tensor>(std::move(tensor)));
  return *parameters_.back().second;
}

Tensor& Module::register_buffer(std::string name, Tensor tensor) {
  buffers_.emplace_back(std::move(name), std::make_unique<Tensor>(std::move(tensor)));
  return *buffers_.back().second;
}

// A module within itself would have parameters without end.
void Module::check_child(const std::string& name, Module* child) const {
  GRAFT_CHECK(child != nullptr, "module '", name, "' is null");
  child->visit("", [&](const std::string&, Module& below) {
    GRAFT_CHECK(&below != this, "module '", name,
                "' holds the module that it would become part of");
  });
}

void Module::add_child(std::string name, std::shared_ptr<Module> child) {
  check_child(name, child.get());
  children_.emplace_back(std::move(name), std::move(child));
}

void Module::replace_child(std::string_view name, std::shared_ptr<Module> child) {
  for (auto& [child_name, module] : children_)
    if (child_name == name) {
      check_child(child_name, child.get());
      module = std::move(child);
      return;
    }
  bad_input("there is no module named '", name, "'");
}

void Module::collect(const std::string& prefix, bool buffers, std::vector<NamedTensor>& out) const {
  for (const auto& [name, tensor] : buffers ? buffers_ : parameters_)
    out.push_back({child_path(prefix, name), *tensor});
  for (const auto& [name, child] : children_)
    child->collect(child->nameless_ ? prefix : child_path(prefix, name), buffers, out);
}

std::vector<NamedTensor> Module::parameters() const {
  std::vector<NamedTensor> out;
  collect("", false, out);
  return out;
}

std::vector<NamedTensor> Module::buffers() const {
  std::vector<NamedTensor> out;
  collect("", true, out);
  return out;
}

std::vector<NamedTensor> Module::own_tensors() const {
  std::vector<NamedTensor> out;
  for (const auto& [name, tensor] : parameters_) out.push_back({name, *tensor});
  for (const auto& [name, tensor] : buffers_) out.push_back({name, *tensor});
  return out;
}

void Module::visit(const std::string& path,
                   const std::function<void(const std::string&, Module&)>& f) {
  f(path, *this);
  for (const auto& [name, child] : children_)
    child->visit(child->nameless_ ? path : child_path(path, name), f);
}

void Module::for_each_module(
    const std::function<void(const std::string& path, Module& module)>& f) {
  visit("", f);
}

Module* Module::find(std::string_view path) {
  if (path.empty()) return this;
  for (const auto& [name, child] : children_)
    if (name == path) return child.get();
  for (const auto& [name, child] : children_) {
    const bool below =
        path.size() > name.size() && path.starts_with(name) && path[name.size()] == '.';
    Module* found = child->nameless_ ? child->find(path)
                    : below          ? child->find(path.substr(name.size() + 1))
                                     : nullptr;
    if (found) return found;
  }
  return nullptr;
}

StateDict Module::state_dict() const {
  StateDict state;
  for (const auto& [name, tensor] : parameters()) state.add(name, tensor);
  for (const auto& [name, tensor] : buffers()) state.add(name, tensor);
  return state;
}

void Module::check_fits(const StateDict& state) const {
  const StateDict mine = state_dict();
  std::vector<std::string> missing, unexpected, misshaped;
  for (const auto& [name, tensor] : mine) {
    const Tensor given = state.find(name);
    if (!given.defined()) {
      if (!is_optional(name)) missing.push_back(name);
    } else if (given.shape() != tensor.shape()) {
      misshaped.push_back(str(name, " (", given.shape(), ", expected ", tensor.shape(), ")"));
    }
  }
  for (const auto& [name, tensor] : state)
    if (!mine.contains(name) && !is_optional(name)) unexpected.push_back(name);
  if (!missing.empty() || !unexpected.empty() || !misshaped.empty()) {
    std::string message = "the weights do not fit the network:";
    if (!missing.empty()) message += str(" missing: ", join(missing), ";");
    if (!unexpected.empty()) message += str(" unexpected: ", join(unexpected), ";");
    if (!misshaped.empty()) message += str(" wrong shape: ", join(misshaped), ";");
    message.pop_back();
    bad_input(message);
  }
}

void Module::load_state_dict(const StateDict& state) {
  check_fits(state);
  for (const auto& [name, tensor] : state_dict())
    if (const Tensor given = state.find(name); given.defined() && !given.is_same(tensor))
      Tensor(tensor).copy_from(given);
}

void Module::take_state_dict(const StateDict& state) {
  check_fits(state);
  visit("", [&](const std::string& path, Module& module) {
    for (auto* list : {&module.parameters_, &module.buffers_})
      for (auto& [name, tensor] : *list) {
        const Tensor given = state.find(child_path(path, name));
        if (!given.defined()) continue;
        if (given.dtype() != tensor->dtype() || given.format() != tensor->format() ||
            given.device() != tensor->device()) {
          tensor->copy_from(given);
          continue;
        }
        const bool wanted = requires_grad(*tensor);
        *tensor = given.detach();
        set_requires_grad(*tensor, wanted);
      }
  });
}

void Module::train(bool on) {
  visit("", [on](const std::string&, Module& module) { module.training_ = on && !module.frozen_; });
}

void Module::freeze() {
  visit("", [](const std::string&, Module& module) {
    module.frozen_ = true;
    module.training_ = false;
    for (auto& [name, tensor] : module.parameters_) set_requires_grad(*tensor, false);
  });
}

void Module::unfreeze() {
  visit("", [](const std::string&, Module& module) {
    module.frozen_ = false;
    for (auto& [name, tensor] : module.parameters_) set_requires_grad(*tensor, true);
  });
}

void Module::set_own_requires_grad(bool on) {
  for (auto& [name, tensor] : parameters_) set_requires_grad(*tensor, on);
}

void Module::zero_grad() {
  for (const auto& [name, tensor] : parameters()) set_grad(tensor, Tensor());
}

void Module::replace_floating(const std::function<Tensor(const Tensor&)>& made_of) {
  visit("", [&](const std::string&, Module& module) {
    for (auto* list : {&module.parameters_, &module.buffers_})
      for (auto& [name, tensor] : *list) {
        if (!is_floating(tensor->dtype())) continue;
        const bool wanted = requires_grad(*tensor);
        const Tensor made = made_of(*tensor).detach();
        if (made.storage_id() == tensor->storage_id()) continue;
        tensor->mutable_raw();  // a write, for those who watch the version
        *tensor = made;
        set_requires_grad(*tensor, wanted);
      }
  });
}

void Module::to(DType dtype) {
  replace_floating([dtype](const Tensor& tensor) { return tensor.to(dtype); });
}

void Module::to(Device device) {
  const auto format = is_cpu(device) ? MemoryFormat::contiguous : MemoryFormat::channels_last;
  replace_floating([&](const Tensor& tensor) {
    return tensor.device() == device ? tensor : to_device(tensor, device).to(format);
  });
}

const Tensor* Module::first_floating() const {
  for (const auto* list : {&parameters_, &buffers_})
    for (const auto& [name, tensor] : *list)
      if (is_floating(tensor->dtype())) return tensor.get();
  for (const auto& [name, child] : children_)
    if (const Tensor* found = child->first_floating()) return found;
  return nullptr;
}

Device Module::device() const {
  const Tensor* tensor = first_floating();
  return tensor ? tensor->device() : Device{};
}

}  // namespace graft
