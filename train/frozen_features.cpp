#include "graft/train/frozen_features.h"

#include <cstring>

#include "graft/core/base/environment.h"
#include "graft/core/base/sha256.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/train/run_device.h"

namespace graft::train {
std::string feature_key(StagedNetwork& network, size_t stages, const Recipe& recipe) {
  Sha256 hash;
  hash.update(str(GRAFT_VERSION, " ", arithmetic_of(network), " ", environment("GRAFT_WINOGRAD"),
                  " ", recipe.precision, " ", stages, "\n"));
  if (recipe.augment != "none") hash.update(str(recipe.augment, " ", recipe.seed, "\n"));
  if (recipe.erase > 0) hash.update(str("erase ", recipe.erase, " ", recipe.seed, "\n"));
  for (size_t stage = 0; stage < stages; ++stage)
    for (Module* owner : network.stage_modules(stage))
      owner->for_each_module([&](const std::string& path, Module& module) {
        for (const auto& [name, tensor] : module.own_tensors()) {
          hash.update(str(stage, " ", path, ".", name, " ", tensor.shape(), "\n"));
          hash_elements(hash, tensor);
        }
      });
  return hash.hex();
}

FrozenFeatures::FrozenFeatures(PrefixRunner& prefix, const io::OpenedData& data,
                               const io::Preprocess& preprocess, FrozenFeaturesOptions options)
    : prefix_(prefix),
      train_(data.train),
      val_(data.val),
      preprocess_(preprocess),
      options_(std::move(options)) {
  row_ = to_device(prefix(preprocess.zeros(1)), {});
  options_.loader.shuffle = options_.loader.drop_single = false;
  const LoaderOptions& l = options_.loader;
  const int64_t views = l.augment.any() ? l.views : 1;
  GRAFT_ASSERT(views >= 1);
  FeatureCacheOptions& cache = options_.cache;
  cache.key = sha256_hex(str(cache.key, "\n", preprocess.to_json(), "\n", data.manifest_sha256, " ",
                             train_->size(), " ", val_->size(), "\n", row_.shape(), " ",
                             static_cast<int>(row_.dtype()), " ", static_cast<int>(row_.format()),
                             "\n", views));
  cache_ =
      std::make_unique<FeatureCache>(train_->size() * views + val_->size(), row_.bytes(), cache);
}

FrozenFeatures::Part FrozenFeatures::train(int64_t view) const {
  const int64_t n = train_->size(), begin = view == 0 ? 0 : n * view + val_->size();
  return {begin, begin + n};
}

FrozenFeatures::Part FrozenFeatures::val() const {
  return {train_->size(), train_->size() + val_->size()};
}

bool FrozenFeatures::ensure(const Part& part) {
  if (part.end <= cache_->computed()) return true;
  if (!cache_->can_hold(part.end)) return false;
  compute(train(0), true, 0);
  if (part.end >= val().end) compute(val(), false, 0);
  for (int64_t view = 1; train(view).end <= part.end; ++view) compute(train(view), true, view);
  return part.end <= cache_->computed();
}

// The images of one part from number `first` on.
std::unique_ptr<BatchLoader> FrozenFeatures::images(bool training, int64_t view, int64_t first,
                                                    int64_t batch) {
  LoaderOptions options = options_.loader;
  if (!training || view == 0) options.augment = {};
  options.cache_bytes = 0;
  options.batch = batch;
  if (batch == 1) options.workers = 0;
  auto loader = std::make_unique<BatchLoader>(training ? train_ : val_, preprocess_, options);
  loader->start(view, first);
  return loader;
}

// The rest of one part, when all before it is there and the cache takes it.
void FrozenFeatures::compute(const Part& part, bool training, int64_t view) {
  const int64_t first = cache_->computed() - part.begin;
  if (first < 0 || first >= part.end - part.begin || !cache_->can_hold(part.end)) return;
  const auto loader = images(training, view, first, options_.loader.batch);
  int64_t done = first;
  for (Batch batch; loader->next(batch);) {
    const Tensor y = to_device(prefix_(batch.x), {});
    if (!cache_->append(static_cast<const std::byte*>(y.raw()), y.size(0))) return;
    done += y.size(0);
    if (options_.progress) options_.progress(done, part.end - part.begin);
  }
}

void FrozenFeatures::compute_row(int64_t row, std::byte* out) {
  const int64_t n = train_->size(), v = val_->size();
  const bool training = row < n || row >= n + v;
  const int64_t view = row < n + v ? 0 : (row - v) / n;
  Batch batch;
  images(training, view, row - (training ? train(view).begin : n), 1)->next(batch);
  const Tensor y = to_device(prefix_(batch.x), {});
  GRAFT_ASSERT(y.bytes() == row_.bytes());
  std::memcpy(out, y.raw(), static_cast<size_t>(y.bytes()));
}

Tensor FrozenFeatures::rows(const Part& part, const std::vector<int64_t>& samples) {
  Tensor x = Tensor::empty(row_.shape().with(0, std::ssize(samples)), row_.options());
  auto* out = static_cast<std::byte*>(x.mutable_raw());
  for (const int64_t sample : samples) {
    if (!cache_->read(part.begin + sample, out)) compute_row(part.begin + sample, out);
    out += row_.bytes();
  }
  return x;
}

}  // namespace graft::train
