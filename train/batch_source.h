// BatchSource: where a training or validation epoch gets its batches, already past the frozen prefix.
#pragma once
#include <memory>

#include "graft/train/features.h"

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
std::unique_ptr<BatchSource> streaming_source(std::unique_ptr<BatchLoader> loader, PrefixRunner* prefix, const Standardizer* standardizer);

struct CachedOrder {
  int64_t batch = 32;
  bool shuffle = false;
  bool drop_single = false;
  uint64_t seed = 0;
};
// Batches of a feature set, in the order in which BatchLoader would give them.
std::unique_ptr<BatchSource> cached_source(FeatureSet features, CachedOrder order);

}  // namespace graft::train
