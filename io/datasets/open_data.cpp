// Recognises what a path holds, and makes the validation part, the subset and the checks that all
// formats share.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/random.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
      : whole_(std::move(whole)), indices_(std::move(indices)) {}
  int64_t size() const override { return std::ssize(indices_); }
  int64_t label(int64_t i) const override { return whole_->label(place(i)); }
  Image image(int64_t i) const override { return whole_->image(place(i)); }
  bool encoded(int64_t i, std::vector<std::byte>& bytes) const override {
    return whole_->encoded(place(i), bytes);
  }
  std::string name(int64_t i) const override { return whole_->name(place(i)); }
  std::string fingerprint() const override {
    Sha256 hash;
    hash.update(whole_->fingerprint());
    hash.update(std::as_bytes(std::span(indices_)));
    return hash.hex();
  }

 private:
  int64_t place(int64_t i) const {
    check_index(i);
    return indices_[static_cast<size_t>(i)];
  }

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

struct Named {
  std::string format;
  DataParts parts;
};

Named read_any(const std::string& path) {
  GRAFT_CHECK(file_system().exists(path), path, ": there is no such file or folder");
  if (!file_system().is_directory(path)) {
    if (lower_extension(path) == ".csv") return {"csv", {read_csv(path), {}, {}}};
    if (lower_extension(path) == ".npz") return {"npz", {read_npz_data(path), {}, {}}};
    bad_input(path, ": not a data set: a folder, a .csv or an .npz is needed");
  }
  if (is_idx_folder(path)) return {"idx", read_idx(path)};
  if (is_cifar_folder(path)) return {"cifar", read_cifar(path)};
  return {"folder", read_folder(path)};
}

// The indices of each class, shuffled by seed.
std::vector<std::vector<int64_t>> shuffled_by_class(const Dataset& dataset, size_t classes,
                                                    uint64_t seed) {
  std::vector<std::vector<int64_t>> groups(classes);
  for (int64_t i = 0; i < dataset.size(); ++i)
    groups[static_cast<size_t>(dataset.label(i))].push_back(i);
  for (size_t c = 0; c < classes; ++c) {
    CountedRandom random(seed, RandomPurpose::split, 0, c);
    std::vector<int64_t> ordered;
    for (const int64_t i : random_permutation(std::ssize(groups[c]), random))
      ordered.push_back(groups[c][static_cast<size_t>(i)]);
    groups[c] = std::move(ordered);
  }
  return groups;
}

// Draws about `share` of every class; at least one and never all of a class of two or more.
std::vector<int64_t> stratified(const Dataset& dataset, size_t classes, double share,
                                uint64_t seed) {
  std::vector<int64_t> drawn;
  for (const auto& group : shuffled_by_class(dataset, classes, seed)) {
    const auto size = std::ssize(group);
    const auto wanted = static_cast<int64_t>(std::llround(share * static_cast<double>(size)));
    const int64_t count = size < 2 ? 0 : std::clamp<int64_t>(wanted, 1, size - 1);
    drawn.insert(drawn.end(), group.begin(), group.begin() + count);
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

void split(OpenedData& data, const std::string& path, const DataOptions& options) {
  GRAFT_CHECK(options.val_split > 0 && options.val_split < 1, path, ": a validation split of ",
              options.val_split, " is not between 0 and 1");
  const auto held = stratified(*data.train, data.classes.size(), options.val_split, options.seed);
  GRAFT_CHECK(!held.empty(), path,
              ": the data set is too small to hold out a validation part; give --val");
  std::vector<int64_t> rest;
  for (int64_t i = 0; i < data.train->size(); ++i)
    if (!std::binary_search(held.begin(), held.end(), i)) rest.push_back(i);
  data.val = subset(data.train, held);
  data.train = subset(data.train, rest);
  data.notes.push_back(str("no validation part: ", held.size(), " of ", held.size() + rest.size(),
                           " samples are held out, drawn by class with seed ", options.seed));
}

// Exactly `limit` samples: class shares by largest remainder would need a rule; taking every
// class's front in turn keeps them within one sample of proportion.
void limit(OpenedData& data, const DataOptions& options) {
  const int64_t total = data.train->size();
  if (options.train_limit <= 0 || options.train_limit >= total) return;
  std::vector<std::pair<double, int64_t>>
      ranked;  // position within the class, as a share of the class
  for (const auto& group : shuffled_by_class(*data.train, data.classes.size(), options.seed))
    for (size_t i = 0; i < group.size(); ++i)
      ranked.emplace_back((static_cast<double>(i) + 0.5) / static_cast<double>(group.size()),
                          group[i]);
  std::sort(ranked.begin(), ranked.end());
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < options.train_limit; ++i)
    kept.push_back(ranked[static_cast<size_t>(i)].second);
  std::sort(kept.begin(), kept.end());
  data.train = subset(data.train, kept);
  data.notes.push_back(str(options.train_limit, " of ", total,
                           " training samples, drawn by class with seed ", options.seed));
}

}  // namespace

void Dataset::check_index(int64_t index) const {
  GRAFT_CHECK(index >= 0 && index < size(), "sample ", index, " of a data set of ", size());
}

bool Dataset::encoded(int64_t, std::vector<std::byte>&) const { return false; }

std::shared_ptr<const Dataset> subset(std::shared_ptr<const Dataset> dataset,
                                      std::vector<int64_t> indices) {
  for (const int64_t i : indices)
    GRAFT_CHECK(i >= 0 && i < dataset->size(), "sample ", i, " of ", dataset->size());
  return std::make_shared<Subset>(std::move(dataset), std::move(indices));
}

OpenedData open_data(const std::string& path, const DataOptions& options) {
  Named named = read_any(path);
  OpenedData data{named.format,
                  named.parts.train.dataset,
                  named.parts.val.dataset,
                  named.parts.train.classes,
                  named.parts.notes,
                  ""};
  if (!options.val_path.empty()) {
    Named other = read_any(options.val_path);
    const DataPart& part = other.parts.val.dataset ? other.parts.val : other.parts.train;
    GRAFT_CHECK(part.classes == data.classes, options.val_path, ": its classes (",
                join(part.classes), ") are not those of ", path, " (", join(data.classes), ")");
    data.val = part.dataset;
  }
  if (!options.need_train) {
    if (!data.val) data.val = data.train;
    data.train = nullptr;
    GRAFT_CHECK(data.val != nullptr, path, ": there are no samples");
  } else {
    GRAFT_CHECK(data.train != nullptr, path, ": there is no training part");
    GRAFT_CHECK(data.classes.size() >= 2, path, ": at least two classes are needed, it has ",
                data.classes.size());
    if (!data.val && options.val_split != 0) split(data, path, options);
    limit(data, options);
  }
  Sha256 hash;
  hash.update(join(data.classes, "\n"));
  if (data.train) hash.update("\ntrain " + data.train->fingerprint());
  if (data.val) hash.update("\nval " + data.val->fingerprint());
  data.manifest_sha256 = hash.hex();
  return data;
}

std::shared_ptr<const Dataset> without_broken_images(std::shared_ptr<const Dataset> dataset,
                                                     double tolerated_share,
                                                     std::vector<std::string>& notes) {
  std::vector<std::string> faults(static_cast<size_t>(dataset->size()));
  current_context().parallel_for(dataset->size(), [&](int64_t i) {
    try {
      dataset->image(i);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      faults[static_cast<size_t>(i)] = error.what();
    }
  });
  std::vector<int64_t> whole;
  std::string first;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const std::string& fault = faults[static_cast<size_t>(i)];
    if (fault.empty()) {
      whole.push_back(i);
      continue;
    }
    if (first.empty()) first = fault;
    notes.push_back("left out: " + fault);
  }
  const int64_t broken = dataset->size() - std::ssize(whole);
  if (broken == 0) return dataset;
  GRAFT_CHECK(static_cast<double>(broken) <= tolerated_share * static_cast<double>(dataset->size()),
              broken, " of ", dataset->size(), " images are broken, more than ",
              tolerated_share * 100, " %; the first: ", first);
  return subset(std::move(dataset), std::move(whole));
}

}  // namespace graft::io
