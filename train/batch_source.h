// BatchSource: where a training or validation epoch gets its batches, already past the frozen
// prefix.
#pragma once
#include <memory>

#include "graft/train/frozen_features.h"

namespace graft::train {

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual int64_t samples() const = 0;
  virtual int64_t batches() const = 0;
  virtual void start(int64_t epoch) = 0;
  virtual bool next(Batch& batch) = 0;
};

// Images through the loader, then through the prefix (null: none), then standardised (null: not).
// What next() gives is on its way to `device` while the work queued there before goes on.
std::unique_ptr<BatchSource> streaming_source(std::unique_ptr<BatchLoader> loader,
                                              PrefixRunner* prefix,
                                              const Standardizer* standardizer, Device device);

struct CachedOrder {
  int64_t batch = 32;
  bool training =
      false;  // shuffled by seed and epoch, views in turn; else the validation images in order
  int64_t views = 1;
  uint64_t seed = 0;
  const Standardizer* standardizer = nullptr;  // null: none
  Device device{};                             // where batches go
  std::shared_ptr<const Task> task{};          // LoaderOptions::task
  SampleViews seen{};                          // as the features were computed; of any epoch
};
// The same batches, bit for bit, as `uncached` gives, from features that are there; from `uncached`
// where they are not.
std::unique_ptr<BatchSource> cached_source(FrozenFeatures& features,
                                           std::shared_ptr<const io::Dataset> dataset,
                                           CachedOrder order,
                                           std::unique_ptr<BatchSource> uncached);

}  // namespace graft::train
