#include "graft/train/batch_source.h"

#include <numeric>

namespace graft::train {
namespace {

class StreamingSource final : public BatchSource {
 public:
  StreamingSource(std::unique_ptr<BatchLoader> loader, PrefixRunner* prefix, const Standardizer* standardizer)
      : loader_(std::move(loader)), prefix_(prefix), standardizer_(standardizer) {}
  int64_t samples() const override { return loader_->samples(); }
  int64_t batches() const override { return loader_->batches(); }
  void start(int64_t epoch) override { loader_->start(epoch); }
  bool next(Batch& batch) override {
    if (!loader_->next(batch)) return false;
    if (prefix_) batch.x = (*prefix_)(batch.x);
    if (standardizer_) batch.x = standardizer_->apply(batch.x);
    return true;
  }

 private:
  std::unique_ptr<BatchLoader> loader_;
  PrefixRunner* prefix_;
  const Standardizer* standardizer_;
};

class CachedSource final : public BatchSource {
 public:
  CachedSource(FeatureSet features, CachedOrder order) : features_(std::move(features)), options_(order) {}
  int64_t samples() const override { return features_.labels.size(0); }
  int64_t batches() const override {
    const int64_t full = samples() / options_.batch, rest = samples() % options_.batch;
    return full + (rest == 0 || (rest == 1 && options_.drop_single) ? 0 : 1);
  }
  void start(int64_t epoch) override {
    next_ = 0;
    if (options_.shuffle) {
      CountedRandom random(options_.seed, RandomPurpose::shuffle, static_cast<uint64_t>(epoch));
      order_ = random_permutation(samples(), random);
    } else {
      order_.resize(static_cast<size_t>(samples()));
      std::iota(order_.begin(), order_.end(), int64_t{0});
    }
  }
  bool next(Batch& batch) override {
    if (next_ >= batches()) return false;
    const int64_t begin = next_++ * options_.batch, end = std::min(begin + options_.batch, samples());
    batch = gather(features_, {order_.begin() + begin, order_.begin() + end});
    return true;
  }

 private:
  FeatureSet features_;
  CachedOrder options_;
  std::vector<int64_t> order_;
  int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<BatchSource> streaming_source(std::unique_ptr<BatchLoader> loader, PrefixRunner* prefix, const Standardizer* standardizer) {
  return std::make_unique<StreamingSource>(std::move(loader), prefix, standardizer);
}

std::unique_ptr<BatchSource> cached_source(FeatureSet features, CachedOrder order) {
  return std::make_unique<CachedSource>(std::move(features), order);
}

}  // namespace graft::train
