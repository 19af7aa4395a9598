#include "graft/train/tasks/classification/balance.h"

#include <algorithm>

#include "graft/core/runtime/random.h"

namespace graft::train {

std::vector<double> class_weights(const io::Dataset& dataset, int64_t classes) {
  std::vector<int64_t> counts(static_cast<size_t>(classes));
  for (int64_t i = 0; i < dataset.size(); ++i) ++counts.at(static_cast<size_t>(dataset.label(i)));
  const auto present = std::count_if(counts.begin(), counts.end(), [](auto n) { return n > 0; });
  std::vector<double> weights;
  for (const int64_t count : counts)
    weights.push_back(count == 0 ? 1
                                 : static_cast<double>(dataset.size()) /
                                       static_cast<double>(present * count));
  return weights;
}

std::shared_ptr<const io::Dataset> evenly_sampled(std::shared_ptr<const io::Dataset> dataset,
                                                  int64_t classes, uint64_t seed) {
  std::vector<std::vector<int64_t>> groups(static_cast<size_t>(classes));
  for (int64_t i = 0; i < dataset->size(); ++i)
    groups.at(static_cast<size_t>(dataset->label(i))).push_back(i);
  int64_t most = 0;
  for (const auto& group : groups) most = std::max(most, std::ssize(group));
  std::vector<int64_t> drawn;
  for (size_t c = 0; c < groups.size(); ++c) {
    const auto size = std::ssize(groups[c]);
    if (size == 0) continue;
    for (int64_t round = 0; round < most / size; ++round)
      drawn.insert(drawn.end(), groups[c].begin(), groups[c].end());
    CountedRandom random(seed, RandomPurpose::split, 1, c);
    const auto order = random_permutation(size, random);
    for (int64_t i = 0; i < most % size; ++i)
      drawn.push_back(groups[c][static_cast<size_t>(order[static_cast<size_t>(i)])]);
  }
  std::sort(drawn.begin(), drawn.end());
  return io::subset(std::move(dataset), std::move(drawn));
}

}  // namespace graft::train
