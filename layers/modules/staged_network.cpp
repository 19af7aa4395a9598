#include "graft/layers/modules/staged_network.h"

#include <algorithm>

namespace graft {

std::vector<Module*> StagedNetwork::stage_modules(size_t stage) {
  std::vector<Module*> modules;
  for (const std::string& path : stage_paths(stage)) {
    Module* module = find(path);
    GRAFT_ASSERT(module != nullptr);
    modules.push_back(module);
  }
  return modules;
}

void StagedNetwork::freeze_stage(size_t stage) {
  for (Module* module : stage_modules(stage)) module->freeze();
}

size_t StagedNetwork::frozen_stages() {
  size_t frozen = 0;
  for (; frozen < stages().size(); ++frozen)
    for (Module* stage : stage_modules(frozen)) {
      bool all = true;
      stage->for_each_module(
          [&](const std::string&, Module& module) { all = all && module.frozen(); });
      if (!all) return frozen;
    }
  return frozen;
}

size_t StagedNetwork::stage_index(std::string_view name) const {
  const auto& names = stages();
  const auto found = std::find(names.begin(), names.end(), name);
  GRAFT_CHECK(found != names.end(), "there is no stage '", name, "'; the stages are ", join(names));
  return static_cast<size_t>(found - names.begin());
}

}  // namespace graft
