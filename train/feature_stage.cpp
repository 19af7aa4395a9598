#include "graft/train/feature_stage.h"

#include <algorithm>

#include "graft/core/base/file_system.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"

namespace graft::train {

Linear* lone_linear_head(StagedNetwork& network) {
  const size_t last = network.stages().size() - 1;
  if (network.frozen_stages() != last) return nullptr;
  const auto modules = network.stage_modules(last);
  return modules.size() == 1 ? dynamic_cast<Linear*>(modules[0]) : nullptr;
}

FeatureStage::FeatureStage(RunContext& context)
    : context_(context), first_(context.network.frozen_stages()) {
  StagedNetwork& network = context.network;
  const Recipe& recipe = context.recipe;
  GRAFT_CHECK(first_ < network.stages().size(), "every stage is frozen: nothing is left to train");
  const bool augments = context.augment.any();
  if (first_ > 0) {
    prefix_ = std::make_unique<PrefixRunner>(network, first_, recipe.activations());
    prefix_->repeat(context.options.repeat_steps);
  }
  Linear* head = recipe.standardize ? lone_linear_head(network) : nullptr;
  if (first_ > 0 && recipe.cache_features && (!augments || recipe.views > 0)) {
    features_ = std::make_unique<FrozenFeatures>(*prefix_, context.data, context.preprocess,
                                                 features_options());
    if (augments)
      context.note(str("every image is seen as ", recipe.views,
                       " fixed views in turn (the image itself is one), whose frozen features are "
                       "computed once"));
  }
  if (!head) return;
  standardize();
  if (context.options.head_is_trained && !context.goes_on) standardizer_->unfold(*head);
  head_ = head;
}

void FeatureStage::make_head_plain() {
  if (head_ && !is_plain_) standardizer_->fold(*head_);
  is_plain_ = true;
}

FeatureStage::Folded::~Folded() {
  Tensor weight = head.weight(), bias = head.bias();
  weight.copy_from(before.at("weight"));
  bias.copy_from(before.at("bias"));
}

FrozenFeaturesOptions FeatureStage::features_options() const {
  const Recipe& recipe = context_.recipe;
  const FitOptions& options = context_.options;
  FrozenFeaturesOptions o;
  o.loader.augment = context_.augment;
  o.loader.views = recipe.views;
  o.loader.seed = recipe.seed;
  o.loader.workers = options.workers;
  o.loader.device = context_.network.device();
  o.loader.gate = context_.gate;
  o.loader.input = options.input;
  if (options.ram > 0) o.loader.batch = std::min(recipe.batch, o.loader.batch);
  o.cache.ram_bytes =
      options.ram > 0 ? std::min(options.cache_ram, options.ram / 4) : options.cache_ram;
  if (!options.folder.empty()) {
    file_system().create_directories(options.folder);
    o.cache.path = context_.file(kFeatureFile);
  }
  o.cache.key = feature_key(context_.network, first_, recipe);
  o.cache.on_note = options.on_note;
  o.progress = context_.hear("features");
  return o;
}

// Mean and deviation of the training images' features, as they are without augmentation.
void FeatureStage::standardize() {
  const io::OpenedData& data = context_.data;
  if (features_ && features_->ensure(features_->train(0))) {
    standardizer_ = std::make_unique<Standardizer>(Standardizer::of(
        data.train->size(), features_->feature_count(), [&](int64_t row, float* out) {
          const Tensor x = features_->rows(features_->train(0), {row});
          std::copy_n(x.data<float>(), x.numel(), out);
        }));
    return;
  }
  const auto from = context_.loader(data.train, context_.recipe.batch, false);
  const FeatureSet set = extract_features(*prefix_, *from, context_.hear("features"));
  standardizer_ = std::make_unique<Standardizer>(Standardizer::of(set.features));
}

DType FeatureStage::activations() const {
  return head_ ? DType::f32 : context_.recipe.activations();
}

std::unique_ptr<BatchSource> FeatureStage::training_source() {
  const Recipe& recipe = context_.recipe;
  const Device device = context_.network.device();
  auto images = streaming_source(context_.loader(context_.data.train, recipe.batch, true),
                                 prefix_.get(), standardizer_.get(), device);
  if (!features_) return images;
  const int64_t views = context_.augment.any() ? recipe.views : 1;
  return cached_source(
      *features_, context_.data.train,
      {recipe.batch, true, views, recipe.seed, standardizer_.get(), device, context_.task,
       SampleViews{context_.preprocess, context_.augment, recipe.seed, views}},
      std::move(images));
}

std::unique_ptr<BatchSource> FeatureStage::validation_source() const {
  const int64_t batch = context_.evaluation_batch();
  const Device device = context_.network.device();
  auto images = streaming_source(context_.loader(context_.data.val, batch, false), prefix_.get(),
                                 nullptr, device);
  return features_ ? cached_source(*features_, context_.data.val,
                                   {.batch = batch,
                                    .device = device,
                                    .task = context_.task,
                                    .seen = {.preprocess = context_.preprocess}},
                                   std::move(images))
                   : std::move(images);
}

Tensor FeatureStage::entering(const Tensor& images) const {
  Tensor x = images;
  if (prefix_) x = (*prefix_)(x);
  if (standardizer_) x = standardizer_->apply(x);
  return x;
}

Tensor FeatureStage::answers(const Tensor& x) const {
  StagedNetwork& network = context_.network;
  const Tensor entering = functional::cast(to_device(x, network.device()), activations());
  return functional::cast(network.forward_stages(entering, first_, network.stages().size()),
                          DType::f32);
}

void FeatureStage::remove_file() {
  if (features_) features_->remove_file();
}

}  // namespace graft::train
