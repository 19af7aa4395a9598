#include "graft/tools/bench_workload.h"

#include <algorithm>
#include <chrono>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/runtime/random.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/initialization.h"
#include "graft/tools/output.h"
#include "graft/train/freezing.h"
#include "graft/train/tasks/classification/classification.h"

namespace graft::tools {

Workload::Workload(const BenchFlags& flags, Device device)
    : device_(device),
      batch_(flags.batch),
      train_(flags.train),
      activations_(precision_named(flags.precision)),
      repeats_(!flags.no_graph && !flags.profile) {
  if (!flags.loader.empty()) {
    open_loader(flags);
    return;
  }
  make_network(flags);
  make_images(flags);
  model_.network->to(device_);
  train_ ? prepare_training(flags) : prepare_inference(flags);
}

Workload::~Workload() = default;

void Workload::make_network(const BenchFlags& flags) {
  if (flags.file.empty()) {
    model_.card.architecture = models::architecture_named(flags.model);
    const ScopedUnsetValues unset;  // they come below
    model_.network = models::make_network(model_.card.architecture);
    models::initialize(*model_.network, 0);
    models::replace_head(model_, flags.classes > 0 ? flags.classes : 1000, 0);
    image_height_ = image_width_ = flags.image_size > 0 ? flags.image_size : 224;
  } else {
    model_ = std::move(load_any(flags.file, {}).model);
    const int64_t classes = models::classes_of(model_.card.architecture);
    if (flags.classes > 0 || (train_ && classes == 0)) {
      const int64_t wanted = flags.classes > 0 ? flags.classes : 1000;
      models::replace_head(model_, wanted, 0);
      say("note: the network has a new head of ", wanted, " classes",
          classes == 0 ? ": the file has no classifier" : ", as asked for");
    }
    const io::Preprocess& own = model_.card.preprocess;
    image_height_ = flags.image_size > 0 ? flags.image_size : own.size;
    image_width_ = flags.image_size > 0 ? flags.image_size : own.input_width();
  }
  name_ = models::name_of(model_.card.architecture);
  kind_ =
      std::holds_alternative<models::GraphConfig>(model_.card.architecture) ? "graph" : "native";
}

void Workload::make_images(const BenchFlags& flags) {
  const int64_t channels = models::in_channels_of(model_.card.architecture),
                classes = std::max<int64_t>(1, models::classes_of(model_.card.architecture));
  x_ = Tensor::empty({flags.batch, channels, image_height_, image_width_},
                     {.format = MemoryFormat::channels_last});
  task_ = std::make_shared<train::Classification>(classes);
  Tensor labels = Tensor::empty({flags.batch}, {.dtype = DType::i64});
  CountedRandom random(0, RandomPurpose::synthetic);
  fill_normal(x_, 0, 1, random);
  for (int64_t i = 0; i < flags.batch; ++i) labels.mutable_data<int64_t>()[i] = i % classes;
  targets_ = labels;
  x_ = to_device(x_, device_);
}

void Workload::prepare_inference(const BenchFlags& flags) {
  StagedNetwork& network = *model_.network;
  const size_t stages = network.stages().size();
  network.train(false);
  Calibration ranges;
  if (flags.precision == "int8") {
    RangeObserver observer;
    train::PrefixRunner(network, stages).observe(x_, observer);
    ranges = observer.calibration();
  }
  run_.emplace(network, stages, activations_, ranges);
  run_->repeat(repeats_);
}

void Workload::prepare_training(const BenchFlags& flags) {
  StagedNetwork& network = *model_.network;
  if (flags.probe)
    for (size_t stage = 0; stage + 1 < network.stages().size(); ++stage)
      network.freeze_stage(stage);
  give_statistics();
  network.train(true);
  first_ = network.frozen_stages();
  if (first_ > 0) run_.emplace(network, first_, activations_).repeat(repeats_);
  GRAFT_CHECK(!flags.cached || first_ > 0, "bench: --cached needs --probe");
  if (flags.cached) features_ = (*run_)(x_);
  std::vector<NamedTensor> trainable;
  for (const NamedTensor& p : network.parameters())
    if (requires_grad(p.tensor)) trainable.push_back(p);
  GRAFT_CHECK(!trainable.empty(), "bench: the network has no parameters to train");
  optimizer_ = train::make_optimizer(
      std::move(trainable),
      {.name = flags.optimizer, .loss_scale = flags.precision == "fp16" ? 0.0 : 1.0});
  step_.emplace(
      network, first_, *task_, *optimizer_,
      train::StepOptions{.activations = activations_, .repeat = repeats_, .checks_loss = false});
}

// Batch norms that were folded when the file was written are none before they have statistics;
// fine-tuning takes them from the user's images.
void Workload::give_statistics() {
  const std::vector<std::string> moving =
      train::norms_that_move(*model_.network, model_.card.neutral_norms, {});
  if (moving.empty()) return;
  say("note: ", moving.size(),
      " batch norms were folded into their convolutions; they train with statistics of the "
      "made-up images");
  train::take_statistics(*model_.network, moving, x_);
}

void Workload::step() {
  start_step();
  if (!is_cpu(device_)) device_backend(device_).wait(device_);
}
void Workload::say_refusal(const std::string& precision) const {
  if (run_) tools::say_refusal(run_->refusal(), precision);
}
bool Workload::is_recorded() const {
  return step_ ? step_->is_recorded() : run_ && run_->is_recorded();
}
bool Workload::is_to_be_recorded() const {
  return repeats_ && !loader_ && !is_cpu(device_) && !is_recorded();
}

void Workload::start_step() {
  if (loader_) return next_batch();
  if (train_) return training_step();
  (*run_)(x_);
}

void Workload::training_step() {
  const train::Batch batch{features_.defined() ? features_.clone()
                           : first_ > 0        ? (*run_)(x_)
                                               : x_,
                           targets_,
                           {}};
  step_->run(batch, 1e-3);
  optimizer_->settle();
}

// Every epoch reads and decodes all images again.
void Workload::open_loader(const BenchFlags& flags) {
  image_height_ = image_width_ = flags.image_size > 0 ? flags.image_size : 224;
  io::Preprocess preprocess = io::imagenet_preprocess(image_height_);
  std::shared_ptr<const io::Dataset> images = io::open_data(flags.loader, {.val_split = 0}).train;
  loader_ = std::make_unique<train::BatchLoader>(
      images, preprocess,
      train::LoaderOptions{.batch = flags.batch,
                           .shuffle = true,
                           .augment = io::augment_named(flags.augment),
                           .workers = flags.workers,
                           .cache_bytes = 0});
  loader_->start(0);
}

// Only whole batches count.
void Workload::next_batch() {
  train::Batch batch;
  while (!loader_->next(batch) || batch.targets.samples() < std::min(batch_, loader_->samples()))
    loader_->start(++epoch_);
}

std::vector<double> time_steps(Workload& workload, int64_t count) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (int64_t i = 0; i < count; ++i) {
    const auto start = Clock::now();
    workload.step();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return seconds;
}

}  // namespace graft::tools
