// FrozenFeatures: what a frozen prefix makes of every training and validation image, computed once
// and kept.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "graft/train/feature_cache.h"
#include "graft/train/features.h"
#include "graft/train/recipe.h"

namespace graft::train {

struct FrozenFeaturesOptions {
  LoaderOptions loader{};  // augmentation, views, seed and workers of the training images
  FeatureCacheOptions cache{};
  std::function<void(int64_t done, int64_t total)> progress{};  // may throw to leave; may be empty
};

// The feature cache's file in a run's folder. It is removed when the run ends, and left by one that
// was interrupted, killed or failed for --resume to go on with.
inline constexpr const char* kFeatureFile = "features.cache";

// Everything the features depend on beside images and preprocessing: the prefix's tensors, the
// augmentation and its seed, and what chooses kernels.
GRAFT_API std::string feature_key(StagedNetwork& network, size_t stages, const Recipe& recipe);

// The rows stand in this order: the training images as they are (view 0), the validation images,
// then the training images' views 1, 2, ... They are computed in this order too, each part when it
// is first asked for. What the cache cannot keep is not here: the caller then runs the prefix every
// time.
class GRAFT_API FrozenFeatures {
 public:
  // Of images that are preprocess's. The cache's key is completed here: preprocessing, data, number
  // of views and what the rows look like.
  FrozenFeatures(PrefixRunner& prefix, const io::OpenedData& data, const io::Preprocess& preprocess,
                 FrozenFeaturesOptions options);

  struct Part {
    int64_t begin, end;  // rows
  };
  Part train(int64_t view) const;
  Part val() const;
  // Computes what of the part (and before it) is missing. False: it cannot be kept.
  bool ensure(const Part& part);
  // The rows of samples of a part that is there: [n,...] as the prefix gives them, on the host.
  // What the cache's file no longer gives is computed again.
  Tensor rows(const Part& part, const std::vector<int64_t>& samples);
  int64_t most_bytes() const { return cache_->most_bytes(); }  // in memory
  void remove_file() { cache_->remove_file(); }
  int64_t feature_count() const { return row_.numel(); }

 private:
  std::unique_ptr<BatchLoader> images(bool training, int64_t view, int64_t first, int64_t batch);
  void compute(const Part& part, bool training, int64_t view);
  void compute_row(int64_t row, std::byte* out);

  PrefixRunner& prefix_;
  std::shared_ptr<const io::Dataset> train_, val_;
  io::Preprocess preprocess_;
  FrozenFeaturesOptions options_;
  Tensor row_;  // an example: shape [1,...], type and layout
  std::unique_ptr<FeatureCache> cache_;
};

}  // namespace graft::train
