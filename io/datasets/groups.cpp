#include "graft/io/datasets/groups.h"

#include <algorithm>
#include <numeric>
#include <regex>
#include <set>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/core/runtime/random.h"

namespace graft::io {
namespace {

constexpr size_t kLongestName = 4096;  // std::regex takes stack for each character

class Grouped final : public Dataset {
 public:
  Grouped(std::shared_ptr<const Dataset> dataset, std::vector<std::string> groups)
      : dataset_(std::move(dataset)), groups_(std::move(groups)) {}
  int64_t size() const override { return dataset_->size(); }
  int64_t label(int64_t i) const override { return dataset_->label(i); }
  std::vector<int64_t> labels(int64_t i) const override { return dataset_->labels(i); }
  std::vector<double> numbers(int64_t i) const override { return dataset_->numbers(i); }
  Image map(int64_t i) const override { return dataset_->map(i); }
  MapFacts map_facts(int64_t i) const override { return dataset_->map_facts(i); }
  BoxedImage boxes(int64_t i) const override { return dataset_->boxes(i); }
  std::string text(int64_t i) const override { return dataset_->text(i); }
  int64_t whole(int64_t i) const override { return dataset_->whole(i); }
  Image image(int64_t i) const override { return dataset_->image(i); }
  ImageHeader header(int64_t i) const override { return dataset_->header(i); }
  std::string name(int64_t i) const override { return dataset_->name(i); }
  bool encoded(int64_t i, std::vector<std::byte>& bytes) const override {
    return dataset_->encoded(i, bytes);
  }
  bool is_changed(int64_t i) const override { return dataset_->is_changed(i); }
  std::string fingerprint() const override { return dataset_->fingerprint(); }
  std::string group(int64_t i) const override {
    check_index(i);
    return groups_[static_cast<size_t>(i)];
  }
  int64_t bytes_held() const override {
    int64_t bytes = dataset_->bytes_held();
    for (const std::string& group : groups_)
      bytes += static_cast<int64_t>(sizeof(std::string) + group.size());
    return bytes;
  }

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::vector<std::string> groups_;
};

std::regex compiled(const std::string& pattern) {
  try {
    std::regex regex(pattern, std::regex::ECMAScript | std::regex::optimize);
    if (regex.mark_count() < 1)
      fail(ErrorCode::usage, "--group-pattern ", printable(pattern),
           ": has no parentheses; what stands in the first ones is the group");
    return regex;
  } catch (const std::regex_error&) {
    fail(ErrorCode::usage, "--group-pattern ", printable(pattern),
         ": is no regular expression (ECMAScript)");
  }
}

// Samples of each group in each stratum.
std::vector<std::vector<int64_t>> counts_of(const std::vector<size_t>& group_of, size_t groups,
                                            const std::vector<std::vector<int64_t>>& strata) {
  std::vector<std::vector<int64_t>> counts(groups, std::vector<int64_t>(strata.size()));
  for (size_t s = 0; s < strata.size(); ++s)
    for (const int64_t sample : strata[s]) ++counts[group_of[static_cast<size_t>(sample)]][s];
  return counts;
}

// By how much the distance of a part from its share grows with a group more.
double growth(const std::vector<int64_t>& group, const std::vector<int64_t>& has,
              const std::vector<int64_t>& all, double share) {
  double sum = 0;
  for (size_t s = 0; s < group.size(); ++s) {
    if (group[s] == 0) continue;
    const auto more = static_cast<double>(group[s]), total = static_cast<double>(all[s]),
               off = static_cast<double>(has[s]) - share * total;
    sum += (2 * off * more + more * more) / (share * total * total);
  }
  return sum;
}

// Gives every part without a group the smallest one of the part that has most groups.
void fill_empty_parts(std::vector<size_t>& part_of, const std::vector<int64_t>& sizes,
                      size_t parts) {
  for (size_t part = 0; part < parts; ++part) {
    if (std::find(part_of.begin(), part_of.end(), part) != part_of.end()) continue;
    std::vector<int64_t> groups_in(parts);
    for (const size_t p : part_of) ++groups_in[p];
    const auto from = static_cast<size_t>(std::max_element(groups_in.begin(), groups_in.end()) -
                                          groups_in.begin());
    size_t smallest = part_of.size();
    for (size_t g = 0; g < part_of.size(); ++g)
      if (part_of[g] == from && (smallest == part_of.size() || sizes[g] < sizes[smallest]))
        smallest = g;
    part_of[smallest] = part;
  }
}

}  // namespace

std::shared_ptr<const Dataset> grouped_by(std::shared_ptr<const Dataset> dataset,
                                          const std::string& pattern) {
  const std::regex regex = compiled(pattern);
  std::vector<std::string> groups;
  groups.reserve(static_cast<size_t>(dataset->size()));
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const std::string name = dataset->name(i);
    GRAFT_CHECK(name.size() <= kLongestName, printable(name.substr(0, 60)), "...: a name of ",
                name.size(), " bytes is too long for --group-pattern");
    std::smatch match;
    bool is_found = false;
    try {
      is_found = std::regex_search(name, match, regex) && match[1].length() > 0;
    } catch (const std::regex_error&) {
      bad_input(name, ": --group-pattern ", printable(pattern), " is too complex for this name");
    }
    GRAFT_CHECK(is_found, name, ": does not hold --group-pattern ", printable(pattern),
                ", so that its group is not known");
    groups.push_back(match[1].str());
  }
  return std::make_shared<Grouped>(std::move(dataset), std::move(groups));
}

std::vector<std::string> sample_groups(const Dataset& dataset) {
  std::vector<std::string> groups;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    groups.push_back(dataset.group(i));
    if (groups.back().empty()) return {};
  }
  return groups;
}

std::vector<std::string> group_names(const Dataset& dataset) {
  const std::vector<std::string> all = sample_groups(dataset);
  const std::set<std::string> names(all.begin(), all.end());
  return {names.begin(), names.end()};
}

std::vector<size_t> deal_groups(const std::vector<std::vector<int64_t>>& counts,
                                const std::vector<double>& shares) {
  GRAFT_CHECK(!shares.empty() && counts.size() >= shares.size(), counts.size(),
              " groups are too few for ", shares.size(), " parts");
  const size_t strata = counts[0].size();
  std::vector<int64_t> all(strata), sizes;
  for (const auto& group : counts) {
    sizes.push_back(std::accumulate(group.begin(), group.end(), int64_t{0}));
    for (size_t s = 0; s < strata; ++s) all[s] += group[s];
  }
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<std::vector<int64_t>> has(shares.size(), std::vector<int64_t>(strata));
  std::vector<size_t> part_of(counts.size());
  for (const size_t g : order) {
    size_t best = 0;
    double least = 0;
    for (size_t p = 0; p < shares.size(); ++p) {
      const double grown = growth(counts[g], has[p], all, shares[p]);
      if (p == 0 || grown < least) best = p, least = grown;
    }
    part_of[g] = best;
    for (size_t s = 0; s < strata; ++s) has[best][s] += counts[g][s];
  }
  fill_empty_parts(part_of, sizes, shares.size());
  return part_of;
}

std::vector<int64_t> held_groups(const Dataset& dataset,
                                 const std::vector<std::vector<int64_t>>& strata,
                                 const DataOptions& options, const std::string& path,
                                 std::string& said) {
  const std::vector<std::string> names = group_names(dataset);
  const int64_t parts = options.folds > 0 ? options.folds : 2, fold = options.fold - 1;
  GRAFT_CHECK(std::ssize(names) >= parts, path, ": ", names.size(),
              names.size() == 1 ? " group is" : " groups are", " too few for ", parts, " parts");
  GRAFT_CHECK(!options.fold_is_group || std::ssize(names) == parts, path, ": has ", names.size(),
              " groups, not ", parts);
  CountedRandom random(options.seed, RandomPurpose::split, 0, strata.size());
  const std::vector<int64_t> drawn = random_permutation(std::ssize(names), random);
  std::vector<size_t> place(names.size());  // of each group in the order in which it was drawn
  for (size_t i = 0; i < drawn.size(); ++i) place[static_cast<size_t>(drawn[i])] = i;
  std::vector<size_t> group_of(static_cast<size_t>(dataset.size()));
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const auto at = std::lower_bound(names.begin(), names.end(), dataset.group(i));
    group_of[static_cast<size_t>(i)] = static_cast<size_t>(at - names.begin());
  }
  std::vector<bool> is_held(names.size());
  if (options.fold_is_group) {
    is_held[static_cast<size_t>(fold)] = true;
  } else {
    std::vector<size_t> drawn_of = group_of;
    for (size_t& group : drawn_of) group = place[group];
    std::vector<double> shares(static_cast<size_t>(parts), 1 / static_cast<double>(parts));
    if (options.folds == 0) shares = {options.val_split, 1 - options.val_split};
    const auto wanted = static_cast<size_t>(options.folds == 0 ? 0 : fold);
    const std::vector<size_t> part_of =
        deal_groups(counts_of(drawn_of, names.size(), strata), shares);
    for (size_t g = 0; g < names.size(); ++g) is_held[g] = part_of[place[g]] == wanted;
  }
  std::vector<int64_t> held;
  for (int64_t i = 0; i < dataset.size(); ++i)
    if (is_held[group_of[static_cast<size_t>(i)]]) held.push_back(i);
  said = options.fold_is_group ? "group " + names[static_cast<size_t>(fold)]
                               : str(std::count(is_held.begin(), is_held.end(), true),
                                     " whole groups of ", names.size());
  return held;
}

}  // namespace graft::io
