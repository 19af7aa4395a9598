#include "graft/train/parameter_scales.h"

#include <cmath>
#include <unordered_map>

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

}  // namespace

std::vector<ParameterScale> parameter_scales(StagedNetwork& network,
                                             const std::vector<NamedTensor>& parameters,
                                             const Recipe& recipe) {
  if (recipe.layer_decay == 1 && recipe.decay_norms) return {};
  const auto distances = distances_from_head(network);
  std::vector<ParameterScale> scales;
  for (const NamedTensor& p : parameters) {
    const auto found = distances.find(p.tensor.storage_id());
    const int distance = found == distances.end() ? 0 : found->second;
    scales.push_back({std::pow(recipe.layer_decay, distance),
                      recipe.decay_norms || p.tensor.rank() > 1 ? 1.0 : 0.0});
  }
  return scales;
}

}  // namespace graft::train
