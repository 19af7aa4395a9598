// FeatureStage: what a run has in front of the stages that it trains. It runs the frozen prefix or
// caches its features, and standardises them for a linear head.
#pragma once
#include <memory>
#include <vector>

#include "graft/train/batch_source.h"
#include "graft/train/frozen_features.h"
#include "graft/train/run_context.h"

namespace graft::train {

class FeatureStage {
 public:
  // Computes what is cached and what the head's features are standardised by. bad_input when no
  // stage is left to train.
  explicit FeatureStage(RunContext& context);
  FeatureStage(const FeatureStage&) = delete;
  FeatureStage& operator=(const FeatureStage&) = delete;

  size_t first() const { return first_; }  // the first stage that trains
  // What the trained stages take. A head on standardised features computes in fp32 anyway.
  DType activations() const;
  std::unique_ptr<BatchSource> training_source();
  std::unique_ptr<BatchSource> validation_source() const;
  // Images as they enter the stages that train.
  Tensor entering(const Tensor& images) const;
  // What the network answers to what a validation source gave.
  Tensor answers(const Tensor& x) const;

  bool caches() const { return features_ != nullptr; }
  int64_t most_cached_bytes() const { return features_ ? features_->most_bytes() : 0; }
  void remove_file();
  // A head that learns on standardised features takes plain ones from here on: by being told that
  // it already does, or by being changed.
  void head_is_plain() { is_plain_ = true; }
  void make_head_plain();
  // Runs f with the head folded to take plain features.
  template <class F>
  void with_plain_head(F&& f) {
    if (!head_) return f();
    const Folded folded{*head_, standardizer_->fold(*head_)};
    f();
  }

 private:
  struct Folded {
    Linear& head;
    StateDict before;
    ~Folded();
  };
  FrozenFeaturesOptions features_options() const;
  void standardize();

  RunContext& context_;
  size_t first_;
  std::unique_ptr<PrefixRunner> prefix_;
  std::unique_ptr<FrozenFeatures> features_;  // null: the prefix runs every epoch
  std::unique_ptr<Standardizer> standardizer_;
  Linear* head_ = nullptr;  // set: it learns on standardised features
  bool is_plain_ = false;
};

// The head, when it alone trains and is linear: then it may learn on standardised features.
Linear* lone_linear_head(StagedNetwork& network);

}  // namespace graft::train
