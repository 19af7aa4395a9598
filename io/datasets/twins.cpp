#include "graft/io/datasets/twins.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <numeric>

#include "graft/core/base/error.h"
#include "graft/core/runtime/exec_context.h"

namespace graft::io {
namespace {

constexpr int kMostBits = 12;       // of 128 gradients may differ
constexpr int kMostLevels = 6;      // mean difference of the thumbnails, their means set equal
constexpr int kLeastContrast = 10;  // mean deviation of a thumbnail that is not nearly even

int mean_of(const Look& look) {
  return std::accumulate(look.thumbnail.begin(), look.thumbnail.end(), 0) /
         static_cast<int>(look.thumbnail.size());
}

int contrast_of(const Look& look) {
  const int mean = mean_of(look);
  int sum = 0;
  for (const uint8_t level : look.thumbnail) sum += std::abs(level - mean);
  return sum / static_cast<int>(look.thumbnail.size());
}

bool look_alike(const Look& a, const Look& b) {
  const int bits = std::popcount(a.gradients[0] ^ b.gradients[0]) +
                   std::popcount(a.gradients[1] ^ b.gradients[1]);
  if (bits > kMostBits) return false;
  const int contrast = contrast_of(a);
  if (contrast < kLeastContrast) return a.thumbnail == b.thumbnail;
  const int shift = mean_of(a) - mean_of(b);
  int sum = 0;
  for (size_t i = 0; i < a.thumbnail.size(); ++i)
    sum += std::abs(a.thumbnail[i] - b.thumbnail[i] - shift);
  const int levels = sum / static_cast<int>(a.thumbnail.size());
  return levels <= std::min(kMostLevels, contrast / 5) && std::abs(shift) <= 24;
}

size_t root_of(std::vector<size_t>& parents, size_t i) {
  while (parents[i] != i) i = parents[i] = parents[parents[i]];
  return i;
}

}  // namespace

TwinGroups equal_twins(const std::vector<ImageFacts>& facts) {
  std::map<uint64_t, std::vector<int64_t>> by_digest;
  for (size_t i = 0; i < facts.size(); ++i)
    if (facts[i].fault.empty()) by_digest[facts[i].digest].push_back(static_cast<int64_t>(i));
  TwinGroups groups;
  for (auto& [digest, members] : by_digest)
    if (members.size() > 1) groups.push_back(std::move(members));
  std::sort(groups.begin(), groups.end());
  return groups;
}

TwinGroups near_twins(const std::vector<ImageFacts>& facts) {
  GRAFT_CHECK(std::ssize(facts) <= kMostCompared, facts.size(),
              " images are too many to compare each with each; at most ", kMostCompared);
  std::vector<size_t> candidates;
  std::map<uint64_t, size_t> seen;
  for (size_t i = 0; i < facts.size(); ++i)
    if (facts[i].look && seen.emplace(facts[i].digest, i).second) candidates.push_back(i);
  std::vector<std::pair<size_t, size_t>> pairs;
  std::mutex mutex;
  current_context().parallel_for(std::ssize(candidates), [&](int64_t row) {
    const size_t i = candidates[static_cast<size_t>(row)];
    for (size_t k = static_cast<size_t>(row) + 1; k < candidates.size(); ++k)
      if (look_alike(*facts[i].look, *facts[candidates[k]].look)) {
        const std::scoped_lock lock(mutex);
        pairs.emplace_back(i, candidates[k]);
      }
  });
  std::vector<size_t> parents(facts.size());
  std::iota(parents.begin(), parents.end(), size_t{0});
  for (const auto& [a, b] : pairs) parents[root_of(parents, a)] = root_of(parents, b);
  std::map<size_t, std::vector<int64_t>> members;
  for (const size_t i : candidates) members[root_of(parents, i)].push_back(static_cast<int64_t>(i));
  TwinGroups groups;
  for (auto& [root, group] : members)
    if (group.size() > 1) groups.push_back(std::move(group));
  std::sort(groups.begin(), groups.end());
  return groups;
}

}  // namespace graft::io
