#include "graft/train/parameter_scales.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

namespace graft::train {
namespace {

// By storage: how many stages with parameters come behind a parameter's own; of a shared one the
// fewest.
std::unordered_map<uint64_t, int> distances_from_head(StagedNetwork& network) {
  std::unordered_map<uint64_t, int> distances;
  int distance = 0;
  for (size_t stage = network.stages().size(); stage-- > 0;) {
    bool any = false;
    for (Module* owner : network.stage_modules(stage))
      for (const NamedTensor& p : owner->parameters()) {
        distances.emplace(p.tensor.storage_id(), distance);
        any = true;
      }
    distance += any;
  }
  return distances;
}

// By place in `parameters`: whether l2_sp draws it.
std::vector<bool> drawn(StagedNetwork& network, const std::vector<NamedTensor>& parameters,
                        const Recipe& recipe, bool head_is_trained) {
  std::unordered_set<uint64_t> of_head;
  if (!head_is_trained)
    for (Module* owner : network.stage_modules(network.stages().size() - 1))
      for (const NamedTensor& p : owner->parameters()) of_head.insert(p.tensor.storage_id());
  std::vector<bool> are;
  for (const NamedTensor& p : parameters)
    are.push_back(recipe.l2_sp > 0 && !of_head.contains(p.tensor.storage_id()) &&
                  (recipe.decay_norms || p.tensor.rank() > 1));
  return are;
}

}  // namespace

std::vector<ParameterPull> parameter_pulls(StagedNetwork& network,
                                           const std::vector<NamedTensor>& parameters,
                                           const Recipe& recipe, bool head_is_trained) {
  if (recipe.l2_sp == 0) return {};
  const std::vector<bool> is_drawn = drawn(network, parameters, recipe, head_is_trained);
  GRAFT_CHECK(std::find(is_drawn.begin(), is_drawn.end(), true) != is_drawn.end(),
              "l2-sp draws weights towards the source's, and with freeze ", recipe.freeze,
              " only what has no source learns");
  std::vector<ParameterPull> pulls(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i)
    if (is_drawn[i]) pulls[i] = {parameters[i].tensor.detach().clone(), recipe.l2_sp};
  return pulls;
}

std::vector<ParameterScale> parameter_scales(StagedNetwork& network,
                                             const std::vector<NamedTensor>& parameters,
                                             const Recipe& recipe, bool head_is_trained) {
  if (recipe.layer_decay == 1 && recipe.decay_norms && recipe.l2_sp == 0) return {};
  const auto distances = distances_from_head(network);
  const std::vector<bool> is_drawn = drawn(network, parameters, recipe, head_is_trained);
  std::vector<ParameterScale> scales;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const NamedTensor& p = parameters[i];
    const auto found = distances.find(p.tensor.storage_id());
    const int distance = found == distances.end() ? 0 : found->second;
    scales.push_back({std::pow(recipe.layer_decay, distance),
                      !is_drawn[i] && (recipe.decay_norms || p.tensor.rank() > 1) ? 1.0 : 0.0});
  }
  return scales;
}

}  // namespace graft::train
