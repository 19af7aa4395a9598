#include "graft/train/batch_source.h"

#include <numeric>

#include "graft/core/tensor/device_backend.h"

namespace graft::train {
namespace {

class StreamingSource final : public BatchSource {
 public:
  StreamingSource(std::unique_ptr<BatchLoader> loader, PrefixRunner* prefix,
                  const Standardizer* standardizer, Device device)
      : loader_(std::move(loader)), prefix_(prefix), standardizer_(standardizer), device_(device) {}
  int64_t samples() const override { return loader_->samples(); }
  int64_t batches() const override { return loader_->batches(); }
  void start(int64_t epoch) override { loader_->start(epoch); }
  bool next(Batch& batch) override {
    if (!loader_->next(batch)) return false;
    if (prefix_) batch.x = (*prefix_)(batch.x);
    if (standardizer_) batch.x = standardizer_->apply(batch.x);
    batch.x = to_device(batch.x, device_);
    return true;
  }

 private:
  std::unique_ptr<BatchLoader> loader_;
  PrefixRunner* prefix_;
  const Standardizer* standardizer_;
  Device device_;
};

// From the feature cache; an epoch whose view the cache cannot hold comes from the images.
class CachedSource final : public BatchSource {
 public:
  CachedSource(FrozenFeatures& features, std::shared_ptr<const io::Dataset> dataset,
               CachedOrder order, std::unique_ptr<BatchSource> uncached)
      : features_(features),
        dataset_(std::move(dataset)),
        options_(order),
        uncached_(std::move(uncached)) {}
  int64_t samples() const override { return dataset_->size(); }
  int64_t batches() const override { return uncached_->batches(); }

  void start(int64_t epoch) override {
    next_ = 0;
    options_.seen.epoch = epoch;
    part_ = options_.training ? features_.train(epoch % options_.views) : features_.val();
    is_cached_ = features_.ensure(part_);
    if (!is_cached_) return uncached_->start(epoch);
    if (options_.training) {
      CountedRandom random(options_.seed, RandomPurpose::shuffle, static_cast<uint64_t>(epoch));
      order_ = random_permutation(samples(), random);
    } else {
      order_.resize(static_cast<size_t>(samples()));
      std::iota(order_.begin(), order_.end(), int64_t{0});
    }
  }

  bool next(Batch& batch) override {
    if (!is_cached_) return uncached_->next(batch);
    if (next_ >= batches()) return false;
    const int64_t begin = next_++ * options_.batch,
                  end = std::min(begin + options_.batch, samples());
    batch.samples.assign(order_.begin() + begin, order_.begin() + end);
    batch.x = features_.rows(part_, batch.samples);
    if (options_.standardizer) batch.x = options_.standardizer->apply(batch.x);
    batch.x = to_device(batch.x, options_.device);
    batch.targets = targets_of(options_.task.get(), *dataset_, batch.samples, options_.seen);
    return true;
  }

 private:
  FrozenFeatures& features_;
  std::shared_ptr<const io::Dataset> dataset_;
  CachedOrder options_;
  std::unique_ptr<BatchSource> uncached_;
  FrozenFeatures::Part part_{};
  bool is_cached_ = false;
  std::vector<int64_t> order_;
  int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<BatchSource> streaming_source(std::unique_ptr<BatchLoader> loader,
                                              PrefixRunner* prefix,
                                              const Standardizer* standardizer, Device device) {
  return std::make_unique<StreamingSource>(std::move(loader), prefix, standardizer, device);
}

std::unique_ptr<BatchSource> cached_source(FrozenFeatures& features,
                                           std::shared_ptr<const io::Dataset> dataset,
                                           CachedOrder order,
                                           std::unique_ptr<BatchSource> uncached) {
  return std::make_unique<CachedSource>(features, std::move(dataset), order, std::move(uncached));
}

}  // namespace graft::train
