// What is done to a network from outside: callbacks on its modules, other modules in their place.
#include <algorithm>
#include <set>
#include <utility>

#include "graft/core/autograd/trace.h"
#include "graft/layers/modules/module.h"

namespace graft {

struct Module::Extras {
  std::shared_ptr<ForwardCallbacks> callbacks = std::make_shared<ForwardCallbacks>();
  bool is_replaced = false;
  // The one in place keeps the former ones, which others may point to; never the other way.
  std::weak_ptr<Module> in_its_place{};
  std::vector<std::shared_ptr<Module>> stands_for{};
};

namespace {

// Modules whose replacement runs on this thread: within it they are themselves.
thread_local std::vector<const Module*> t_themselves;

class ScopedThemselves {
 public:
  explicit ScopedThemselves(const std::vector<std::shared_ptr<Module>>& modules)
      : size_(t_themselves.size()) {
    for (const auto& module : modules) t_themselves.push_back(module.get());
  }
  ~ScopedThemselves() { t_themselves.resize(size_); }
  ScopedThemselves(const ScopedThemselves&) = delete;
  ScopedThemselves& operator=(const ScopedThemselves&) = delete;

 private:
  size_t size_;
};

bool is_itself(const Module* module) {
  return std::find(t_themselves.begin(), t_themselves.end(), module) != t_themselves.end();
}

}  // namespace

void ForwardHook::remove() {
  if (const auto callbacks = of_.lock())
    std::erase_if(callbacks->entries, [this](const auto& entry) { return entry.id == id_; });
  of_.reset();
}

Tensor Module::run_with_extras(const Tensor& x) {
  const Extras& mine = *extras_;
  if (mine.is_replaced && !is_itself(this)) {
    const auto other = mine.in_its_place.lock();
    GRAFT_CHECK(other, "a module that was replaced runs after its network is gone");
    return (*other)(x);
  }
  Tensor y;
  {
    const ScopedThemselves scope(mine.stands_for);
    y = forward(x);
  }
  if (mine.callbacks->entries.empty()) return y;
  if (Trace* trace = current_trace()) {
    trace->is_watched = true;
    return y;
  }
  const auto entries = mine.callbacks->entries;  // one may remove itself
  for (const auto& entry : entries) entry.call(y);
  return y;
}

bool Module::extras_are_empty() const {
  return extras_->callbacks->entries.empty() && !extras_->is_replaced &&
         extras_->stands_for.empty();
}

Module::Extras& Module::extras() {
  if (!extras_) extras_ = std::make_shared<Extras>();
  return *extras_;
}

void Module::check_run_as_a_whole(std::string_view path) const {
  GRAFT_CHECK(!is_run_by_parts_ || path.empty(), "module '", path,
              "' is never run as a whole: name one of its parts");
}

// Whatever was made of the values as they are is looked at again.
void Module::make_plans_stale() {
  for (const auto& [name, tensor] : state_dict()) Tensor(tensor).mutable_raw();
}

ForwardHook Module::on_forward(std::string_view path,
                               std::function<void(const Tensor& y)> callback) {
  GRAFT_CHECK(callback, "on_forward: no callback for module '", path, "'");
  Module* module = find(path);
  GRAFT_CHECK(module != nullptr, "there is no module '", path, "'");
  module->check_run_as_a_whole(path);
  ForwardCallbacks& callbacks = *module->extras().callbacks;
  const uint64_t id = callbacks.next_id++;
  callbacks.entries.push_back({id, std::move(callback)});
  make_plans_stale();
  return {module->extras_->callbacks, id};
}

Module::Place Module::place_of(std::string_view path) {
  for (auto& [name, child] : children_)
    if (name == path) return {this, &child};
  for (auto& [name, child] : children_) {
    const bool below =
        path.size() > name.size() && path.starts_with(name) && path[name.size()] == '.';
    const Place found = child->nameless_ ? child->place_of(path)
                        : below          ? child->place_of(path.substr(name.size() + 1))
                                         : Place{};
    if (found.child) return found;
  }
  return {};
}

void Module::replace(std::string_view path, std::shared_ptr<Module> module) {
  const Place place = place_of(path);
  GRAFT_CHECK(place.child != nullptr, "there is no module '", path, "'");
  const std::shared_ptr<Module> former = *place.child;
  GRAFT_CHECK(module != former, "module '", path, "' is there already");
  former->check_run_as_a_whole(path);
  place.parent->check_child(std::string(path), module.get());
  GRAFT_CHECK(!module->extras_ || !module->extras_->is_replaced, "the module to put at '", path,
              "' was replaced itself and is empty");
  int places = 0;
  visit("", [&](const std::string&, Module& one) { places += &one == former.get(); });
  GRAFT_CHECK(places == 1, "module '", path, "' stands at ", places, " places: it cannot be ",
              "replaced at one");
  make_plans_stale();
  module->nameless_ = former->nameless_;
  module->train(training_);
  // Who holds a former one by its type goes on calling it; it hands the call on.
  std::vector<std::shared_ptr<Module>> all = std::move(former->extras().stands_for);
  former->extras().stands_for.clear();
  all.push_back(former);
  for (const auto& one : all) {
    one->extras().is_replaced = true;
    one->extras().in_its_place = module;
    module->extras().stands_for.push_back(one);
  }
  // What went lets its tensors go: an optimizer that still has them is refused.
  std::set<const Module*> kept;
  module->visit("", [&](const std::string&, Module& one) { kept.insert(&one); });
  former->visit("", [&](const std::string&, Module& one) {
    if (kept.contains(&one)) return;
    for (auto* list : {&one.parameters_, &one.buffers_})
      for (auto& [name, tensor] : *list) *tensor = Tensor();
  });
  *place.child = std::move(module);
}

}  // namespace graft
