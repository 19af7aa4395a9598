// Sequential: children named "0", "1", ... run in order. And the parameterless layers one puts
// between them.
#pragma once
#include <functional>
#include <initializer_list>

#include "graft/layers/modules/module.h"

namespace graft {

class GRAFT_API Sequential : public Module {
 public:
  Sequential() = default;
  Sequential(std::initializer_list<std::shared_ptr<Module>> layers) {
    for (const auto& layer : layers) append(layer);
  }
  void append(std::shared_ptr<Module> layer) {
    register_module(std::to_string(children().size()), std::move(layer));
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (const auto& [name, layer] : children()) y = (*layer)(y);
    return y;
  }
};

// A layer without parameters around any function of one tensor: Sequential{conv,
// std::make_shared<Function>(functional::relu)}.
class GRAFT_API Function final : public Module {
 public:
  explicit Function(std::function<Tensor(const Tensor&)> function)
      : function_(std::move(function)) {}
  Tensor forward(const Tensor& x) override { return function_(x); }

 private:
  std::function<Tensor(const Tensor&)> function_;
};

}  // namespace graft
