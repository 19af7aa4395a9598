// Module: a tree of named parameters, buffers and children. The names are the import format: they
// spell torchvision's paths exactly ("layer1.0.conv1.weight").
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/tensor/state_dict.h"
#include "graft/layers/modules/forward_hook.h"

namespace graft {

struct NamedTensor {
  std::string name{};  // the whole path
  Tensor tensor{};
};

// Any number of threads may call forward() of one module in eval mode at once, each within its own
// NoGradGuard, and read its tensors; the bits are those of one thread. Training, train(), freeze(),
// to(), loading and everything else that writes are for one thread at a time, with no other in
// forward(). Networks that share no tensors have nothing to do with each other.
class GRAFT_API Module {
 public:
  virtual ~Module() = default;
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual Tensor forward(const Tensor& x) = 0;
  // How a module runs another: forward(), or that of the module put in its place; then whoever
  // watches is told.
  Tensor operator()(const Tensor& x) { return extras_ ? run_with_extras(x) : forward(x); }
  // Nobody watches it and nothing is in its place, so that it may be computed together with others.
  bool is_plain() const { return !extras_ || extras_are_empty(); }

  // Calls `callback` with each result of the module at `path` ("layer3", "layer3.0.conv1"; "" is
  // this module, for calls of operator()), while the handle lives. In training the result is part
  // of the graph, so that a gradient can be asked of it. No plan bypasses it: one compiled before
  // is stale, and another is refused, so that the network runs eagerly. Not called for traces,
  // whose values may be made up. A watched batch norm is computed apart from its ReLU and sum,
  // whose last bit may differ. Called again where a step recomputes; of steps that a device repeats
  // from a recording it hears the first alone (FitOptions::repeat_steps). Not between a forward
  // pass and its backward pass. bad_input when there is no such module, and for one that is never
  // run as a whole (a group of layers that a stage runs one by one).
  [[nodiscard]] ForwardHook on_forward(std::string_view path,
                                       std::function<void(const Tensor& y)> callback);
  // Puts another module at `path`, in this module's mode; names below the path are then its own.
  // It may hold the former one (a Sequential of it and more), which is emptied otherwise.
  // Optimizers must be made afterwards, and a file of graft cannot describe the result. bad_input
  // as for on_forward(), and for a module that stands at several places.
  void replace(std::string_view path, std::shared_ptr<Module> module);
  // For networks: whoever holds this module runs its children or nothing of it, never the whole.
  void mark_run_by_parts() { is_run_by_parts_ = true; }

  // In registration order, children after a module's own.
  std::vector<NamedTensor> parameters() const;
  std::vector<NamedTensor> buffers() const;  // running statistics: saved, never trained by gradient
  // This module's own parameters and buffers, without its children's, by their short names.
  std::vector<NamedTensor> own_tensors() const;
  // Direct children; and every module below, itself first with name "".
  const std::vector<std::pair<std::string, std::shared_ptr<Module>>>& children() const {
    return children_;
  }
  void for_each_module(const std::function<void(const std::string& path, Module& module)>& visit);
  // The module at a path ("layer1.0"); null when there is none. Nameless children are looked
  // through.
  Module* find(std::string_view path);

  // Parameters and buffers by path; the tensors are shared, not copied.
  StateDict state_dict() const;
  // bad_input unless load_state_dict() would take the tensors.
  void check_fits(const StateDict& state) const;
  // Copies values in. Strict: every name must match and every shape fit; all that is missing,
  // unexpected or of the wrong shape stands in one Error(bad_input), and then nothing was changed.
  // `num_batches_tracked` is optional everywhere.
  void load_state_dict(const StateDict& state);
  // The same without copying where types and layouts agree: the tensors given become the module's
  // own. For a module that nobody has taken tensors of yet.
  void take_state_dict(const StateDict& state);

  // Training mode (batch statistics, dropout) for this module and all below. Frozen modules stay in
  // eval.
  void train(bool on = true);
  bool training() const { return training_; }
  // Freezes this module and all below: no gradients, batch norms keep to their source statistics.
  void freeze();
  void unfreeze();
  bool frozen() const { return frozen_; }
  // This module's own parameters (not its children's): whether gradients reach them, without
  // freezing the module.
  void set_own_requires_grad(bool on);

  // Clears the gradients of all parameters.
  void zero_grad();
  // Converts parameters and buffers to another floating type (optimizers must be made afterwards).
  void to(DType dtype);
  // Moves floating parameters and buffers to an open device (optimizers must be made afterwards).
  // Away from the CPU the filters of images are in channels_last; what counts (num_batches_tracked)
  // stays with the host that counts it.
  void to(Device device);
  // Where its floating tensors lie, as far as the first one tells; the CPU when it has none.
  Device device() const;

 protected:
  Tensor& register_parameter(std::string name, Tensor tensor);  // requires_grad is set
  Tensor& register_buffer(std::string name, Tensor tensor);
  template <class M>
  std::shared_ptr<M> register_module(std::string name, std::shared_ptr<M> child) {
    add_child(std::move(name), child);
    return child;
  }
  // A child whose tensors keep the names they have: `name` finds it, but is no part of its tensors'
  // paths.
  template <class M>
  std::shared_ptr<M> register_nameless_module(std::string name, std::shared_ptr<M> child) {
    child->nameless_ = true;
    return register_module(std::move(name), std::move(child));
  }
  // Replaces a direct child (a new head). bad_input when there is none of this name.
  void replace_child(std::string_view name, std::shared_ptr<Module> child);

 private:
  struct Extras;
  Tensor run_with_extras(const Tensor& x);
  bool extras_are_empty() const;
  Extras& extras();
  struct Place {
    Module* parent = nullptr;
    std::shared_ptr<Module>* child = nullptr;
  };
  Place place_of(std::string_view path);  // null: there is none
  void check_run_as_a_whole(std::string_view path) const;
  void make_plans_stale();
  // Puts other tensors at the places of the floating ones. What was made of the former ones (plans,
  // packed weights) is stale then.
  void replace_floating(const std::function<Tensor(const Tensor&)>& made_of);
  const Tensor* first_floating() const;
  void check_child(const std::string& name, Module* child) const;
  void add_child(std::string name, std::shared_ptr<Module> child);
  void collect(const std::string& prefix, bool buffers, std::vector<NamedTensor>& out) const;
  void visit(const std::string& path, const std::function<void(const std::string&, Module&)>& f);

  std::vector<std::pair<std::string, std::unique_ptr<Tensor>>> parameters_,
      buffers_;  // stable addresses
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
  bool training_ = true;
  bool frozen_ = false;
  bool nameless_ = false;  // its name is no part of its tensors' paths
  bool is_run_by_parts_ = false;
  std::shared_ptr<Extras> extras_;  // null for most
};

}  // namespace graft
