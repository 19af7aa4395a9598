#include "graft/train/fit.h"

#include <chrono>
#include <cmath>
#include <optional>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/stop.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/train/balance.h"
#include "graft/train/batch_source.h"
#include "graft/train/checkpoint.h"
#include "graft/train/choice.h"
#include "graft/train/freezing.h"
#include "graft/train/memory_plan.h"
#include "graft/train/repeated_step.h"
#include "graft/train/run_device.h"
#include "graft/train/run_lock.h"
#include "graft/train/schedule.h"

namespace graft::train {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// One run of fit().
class Run {
 public:
  Run(StagedNetwork& network, const io::OpenedData& data, const io::Preprocess& preprocess,
      const Recipe& recipe, const FitOptions& options)
      : network_(network),
        data_(data),
        preprocess_(preprocess),
        recipe_(recipe),
        options_(options),
        augment_(io::augment_named(recipe.augment)) {}

  FitResult operator()() {
    recipe_.validate();
    GRAFT_CHECK(!on_cpu() || recipe_.precision != "fp16",
                "precision fp16 is for a CUDA device; the CPU trains in fp32 or bf16");
    GRAFT_CHECK(on_cpu() || options_.ram == 0,
                "memory planning counts the host's bytes: --ram is for training on the CPU");
    GRAFT_CHECK(data_.train && data_.val, "training needs a training and a validation part");
    if (options_.ram > 0) plan_decoding();
    apply_freezing(network_, recipe_);
    std::optional<std::string> frozen_before;
    try {
      const ScopedStop stop(options_.stop);
      run(frozen_before);
    } catch (const Stopped&) {
      result_.interrupted = true;
      leave(frozen_before.has_value());
    }
    if (repeated_) result_.repeated_steps = repeated_->repeats();
    result_.frozen_sha256 = frozen_sha256(network_);
    GRAFT_ASSERT(!frozen_before || result_.frozen_sha256 == *frozen_before);
    return std::move(result_);
  }

 private:
  void run(std::optional<std::string>& frozen_before) {
    give_statistics();
    if (recipe_.batch_norm == "adapt")
      reestimate_statistics(network_, *statistics_loader(), hear("statistics"));
    network_.train(true);
    frozen_before = frozen_sha256(network_);
    prepare_optimizer();
    if (options_.resume) resume();
    prepare_sources();
    if (options_.ram > 0) plan_step();
    if (!options_.resume) start_files();
    for (int64_t epoch = done_ + 1; epoch <= recipe_.epochs && !is_spent(); ++epoch)
      run_epoch(epoch);
    finish();
  }

  // After a stop. One that came while features were computed leaves a checkpoint too, so that they
  // are gone on with.
  void leave(bool is_prepared) {
    if (is_prepared && !options_.resume && !has_files_ && options_.ram == 0) start_files();
    if (standardizer_ && head_ && !is_best_) standardizer_->fold(*head_);
  }

  bool on_cpu() const { return is_cpu(network_.device()); }
  std::string file(const char* name) const { return join_path(options_.folder, name); }
  void note(const std::string& text) const {
    if (options_.on_note) options_.on_note(text);
  }
  // Tells of a phase before the first epoch.
  std::function<void(int64_t, int64_t)> hear(const char* phase) const {
    return [this, phase](int64_t done, int64_t total) {
      check_stop();
      if (options_.on_progress) options_.on_progress({phase, 0, recipe_.epochs, done, total, 0, 0});
    };
  }

  // A resumed run has them in its checkpoint, but starts from the same network as the first: the
  // pass is cheap.
  void give_statistics() {
    const auto moving = norms_that_move(network_, options_.neutral_norms, recipe_);
    if (moving.empty()) return;
    note(str(moving.size(),
             " batch norms were folded into their convolutions: one pass over the training images "
             "gives them statistics; the network's function stays the same"));
    take_statistics(network_, moving, *loader(data_.train, recipe_.batch, false),
                    hear("statistics"));
  }

  std::unique_ptr<BatchLoader> loader(std::shared_ptr<const io::Dataset> dataset, int64_t batch,
                                      bool training) const {
    LoaderOptions o;
    o.batch = batch;
    o.shuffle = training;
    o.drop_single = training;
    o.seed = recipe_.seed;
    if (training) o.augment = augment_;
    o.views = recipe_.views;
    o.workers = options_.workers;
    o.device = network_.device();
    o.gate = gate_;
    if (options_.ram > 0) o.cache_bytes = 0;
    return std::make_unique<BatchLoader>(std::move(dataset), preprocess_, o);
  }

  // For batch norms to re-estimate their statistics: every image as it is, but for a last batch of
  // one.
  std::unique_ptr<BatchLoader> statistics_loader() const {
    LoaderOptions o;
    o.batch = recipe_.batch;
    o.drop_single = true;
    o.workers = options_.workers;
    o.device = network_.device();
    o.gate = gate_;
    if (options_.ram > 0) o.cache_bytes = 0;
    return std::make_unique<BatchLoader>(data_.train, preprocess_, o);
  }

  void prepare_optimizer() {
    std::vector<NamedTensor> trainable;
    for (const NamedTensor& p : network_.parameters())
      if (requires_grad(p.tensor)) trainable.push_back(p);
    OptimizerOptions options = recipe_.optimizer;
    if (const Linear* head =
            recipe_.standardize && recipe_.head_prior ? lone_linear_head() : nullptr)
      options.weight_decay = head_weight_decay(head->weight().shape()[1], data_.train->size());
    if (recipe_.precision == "fp16") options.loss_scale = recipe_.loss_scale;
    optimizer_ = make_optimizer(std::move(trainable), options);
  }

  // The head, when it alone trains and is linear: then it may learn on standardised features.
  Linear* lone_linear_head() {
    const size_t last = network_.stages().size() - 1;
    if (network_.frozen_stages() != last) return nullptr;
    const auto modules = network_.stage_modules(last);
    return modules.size() == 1 ? dynamic_cast<Linear*>(modules[0]) : nullptr;
  }

  void weigh_classes() {
    if (recipe_.balance != "weights") return;
    weight_of_class_ = class_weights(*data_.train, std::ssize(data_.classes));
    const std::vector<float> weights(weight_of_class_.begin(), weight_of_class_.end());
    class_weights_ =
        to_device(Tensor::of<float>({std::ssize(weights)}, weights), network_.device());
  }

  void prepare_sources() {
    weigh_classes();
    const size_t frozen = network_.frozen_stages();
    GRAFT_CHECK(frozen < network_.stages().size(),
                "every stage is frozen: nothing is left to train");
    first_ = frozen;
    if (frozen > 0)
      prefix_ = std::make_unique<PrefixRunner>(network_, frozen, recipe_.activations());
    if (prefix_) prefix_->repeat(options_.repeat_steps);
    if (recipe_.standardize) head_ = lone_linear_head();
    if (frozen > 0 && recipe_.cache_features && (!augment_.any() || recipe_.views > 0)) {
      features_ =
          std::make_unique<FrozenFeatures>(*prefix_, data_, preprocess_, features_options());
      result_.cached_stages = static_cast<int64_t>(frozen);
      if (augment_.any())
        note(str(
            "every image is seen as ", recipe_.views,
            " fixed views in turn, itself among them, whose frozen features are computed once"));
    }
    if (head_) standardize();
    if (head_ && options_.head_is_trained && !options_.resume) standardizer_->unfold(*head_);
    train_ = streaming_source(loader(data_.train, recipe_.batch, true), prefix_.get(),
                              standardizer_.get(), network_.device());
    val_ = validation_source();
    if (features_) {
      const int64_t views = augment_.any() ? recipe_.views : 1;
      train_ = cached_source(
          *features_, data_.train,
          {recipe_.batch, true, views, recipe_.seed, standardizer_.get(), network_.device()},
          std::move(train_));
    }
    GRAFT_CHECK(train_->batches() > 0, "one training sample is too few");
    if (!on_cpu() && options_.repeat_steps)
      repeated_ = std::make_unique<RepeatedStep>(network_, first_, *optimizer_);
  }

  FrozenFeaturesOptions features_options() const {
    FrozenFeaturesOptions o;
    o.loader.augment = augment_;
    o.loader.views = recipe_.views;
    o.loader.seed = recipe_.seed;
    o.loader.workers = options_.workers;
    o.loader.device = network_.device();
    o.loader.gate = gate_;
    if (options_.ram > 0) o.loader.batch = std::min(recipe_.batch, o.loader.batch);
    o.cache.ram_bytes =
        options_.ram > 0 ? std::min(options_.cache_ram, options_.ram / 4) : options_.cache_ram;
    if (!options_.folder.empty()) {
      file_system().create_directories(options_.folder);
      o.cache.path = file(kFeatureFile);
    }
    o.cache.key = feature_key(network_, first_, recipe_);
    o.cache.on_note = options_.on_note;
    o.progress = hear("features");
    return o;
  }

  int64_t evaluation_batch() const {
    return recipe_.step.micro_batch > 0 ? recipe_.step.micro_batch : recipe_.batch;
  }

  // Before an image is decoded: what decoders may take together.
  void plan_decoding() {
    const io::LargestDecode train = io::largest_decode(*data_.train),
                            val = io::largest_decode(*data_.val);
    const bool in_train = train.bytes >= val.bytes;
    const io::LargestDecode& largest = in_train ? train : val;
    if (largest.bytes == 0) return;
    const io::Dataset& dataset = in_train ? *data_.train : *data_.val;
    decoded_ = dataset.name(largest.sample);
    io::DecodeGate all(decoding_bytes_at_most(options_.ram, data_.bytes_held));
    const io::ScopedDecode fits(&all, dataset, largest.sample);  // or is refused by name
    gate_ = std::make_shared<io::DecodeGate>(
        decoding_bytes(options_.ram, largest.bytes, options_.workers));
  }

  RamRequest ram_request() {
    const auto bytes_of = [](const StateDict& state) {
      int64_t bytes = 0;
      for (const auto& [name, tensor] : state) bytes += tensor.bytes();
      return bytes;
    };
    const int64_t copy = bytes_of(changing());
    RamRequest request{.ram = options_.ram,
                       .batch = std::min(recipe_.batch, data_.train->size()),
                       .bytes_an_image = 4 * preprocess_.channels * preprocess_.pixels(),
                       .norms_learn = norms_learn(network_),
                       .given = options_.resume ? &recipe_.step : nullptr,
                       .workers = options_.workers};
    request.kept = bytes_of(network_.state_dict()) + bytes_of(optimizer_->state()) + copy +
                   packed_bytes(network_, first_) + (features_ ? features_->most_bytes() : 0);
    request.between = 2 * copy;  // a checkpoint that saves the best epoch's model
    request.scratch = scratch_bytes(network_);
    request.data = data_.bytes_held;
    request.decoding = gate_ ? gate_->bytes() : 0;
    request.decoded = decoded_;
    return request;
  }

  // Counts steps until one keeps within FitOptions::ram. What steps without kernels leave in
  // running statistics is put right behind them.
  void plan_step() {
    const StateDict before = copy_of_changing();
    const auto step_bytes = [&](int64_t images, const StepPlan& step) {
      return tensor_bytes_of([&] { run_trial(images, step); }, network_.looks_at_values());
    };
    run_trial(std::min<int64_t>({2, recipe_.batch, data_.train->size()}),
              {});  // whatever is made once: compiled stages
    const MemoryPlan plan =
        plan_within(ram_request(), step_bytes, [&](const std::string& text) { note(text); });
    put(before);
    cpu_allocator().release_cached();
    recipe_.step = result_.step = plan.step;
    result_.planned_bytes = plan.peak;
    if (options_.on_plan) options_.on_plan(plan.step);
    val_ = validation_source();
  }

  // A step on images of zeros that changes no parameter.
  void run_trial(int64_t images, const StepPlan& step) {
    Batch batch{preprocess_.zeros(images), Tensor::zeros({images}, {.dtype = DType::i64}), {}};
    if (prefix_) batch.x = (*prefix_)(batch.x);
    if (standardizer_) batch.x = standardizer_->apply(batch.x);
    network_.train(true);
    const HeldStatistics held(network_);
    StepOptions options{recipe_.label_smoothing, step, {}, activations()};
    options.backward_whole = [](const Tensor& loss) {
      backward(loss, [](GradMeta& leaf) { leaf.grad = Tensor(); });
    };
    run_training_step(network_, first_, batch, options);
    network_.zero_grad();
  }

  std::unique_ptr<BatchSource> validation_source() {
    const int64_t batch = evaluation_batch();
    auto images = streaming_source(loader(data_.val, batch, false), prefix_.get(), nullptr,
                                   network_.device());
    return features_
               ? cached_source(*features_, data_.val, {.batch = batch, .device = network_.device()},
                               std::move(images))
               : std::move(images);
  }

  // Mean and deviation of the training images' features, as they are without augmentation.
  void standardize() {
    if (features_ && features_->ensure(features_->train(0))) {
      standardizer_ = std::make_unique<Standardizer>(Standardizer::of(
          data_.train->size(), features_->feature_count(), [&](int64_t row, float* out) {
            const Tensor x = features_->rows(features_->train(0), {row});
            std::copy_n(x.data<float>(), x.numel(), out);
          }));
      return;
    }
    const auto from = loader(data_.train, recipe_.batch, false);
    const FeatureSet set = extract_features(*prefix_, *from, hear("features"));
    standardizer_ = std::make_unique<Standardizer>(Standardizer::of(set.features));
  }

  // What the trained stages take. A head on standardised features computes in fp32 anyway.
  DType activations() const { return head_ ? DType::f32 : recipe_.activations(); }
  Tensor forward(const Tensor& x) {
    const Tensor entering = functional::cast(to_device(x, network_.device()), activations());
    return functional::cast(network_.forward_stages(entering, first_, network_.stages().size()),
                            DType::f32);
  }

  // The tensors that training can change.
  StateDict changing() {
    StateDict state;
    network_.for_each_module([&](const std::string& path, Module& module) {
      if (module.frozen()) return;
      for (const auto& [name, tensor] : module.own_tensors())
        state.add(path.empty() ? name : path + "." + name, tensor);
    });
    return state;
  }
  StateDict copy_of_changing() {
    StateDict copy;
    for (const auto& [name, tensor] : changing()) copy.add(name, host_copy(tensor));
    return copy;
  }
  void put(const StateDict& values) {
    for (const auto& [name, tensor] : changing()) Tensor(tensor).copy_from(values.at(name));
  }

  // Runs f with the head folded to take plain features.
  template <class F>
  void with_plain_head(F&& f) {
    if (!head_) return f();
    struct Folded {
      Linear& head;
      StateDict before;
      ~Folded() {
        Tensor weight = head.weight(), bias = head.bias();
        weight.copy_from(before.at("weight"));
        bias.copy_from(before.at("bias"));
      }
    } const folded{*head_, standardizer_->fold(*head_)};
    f();
  }

  void run_epoch(int64_t epoch) {
    const auto start = Clock::now();
    EpochMetrics metrics = train_epoch(epoch);
    with_plain_head([&] {
      const Evaluation evaluation = validate(epoch);
      if (evaluation.not_finite() > 0)
        note(str("the network's answers to ", evaluation.not_finite(), " of ", evaluation.samples(),
                 " validation images are not finite numbers after epoch ", epoch));
      metrics.val_accuracy = evaluation.accuracy();
      metrics.val_loss = evaluation.loss();
      metrics.val_macro_f1 = evaluation.macro_f1();
      const EpochWorth best{result_.best_accuracy, result_.best_loss};
      if (result_.best_epoch > 0 && !is_better({metrics.val_accuracy, metrics.val_loss}, best))
        return;
      result_.best_accuracy = metrics.val_accuracy;
      result_.best_loss = metrics.val_loss;
      result_.best_epoch = epoch;
      result_.best = evaluation;
      best_ = copy_of_changing();
      best_unsaved_ = true;
    });
    metrics.seconds = seconds_since(start);
    done_ = epoch;
    result_.history.push_back(metrics);
    if (!options_.folder.empty()) {
      const std::string line = metrics.to_json() + "\n";
      FileSystem& files = file_system();
      const auto log = files.open_append(files.resolve_links(file("metrics.jsonl")));
      log->append(std::as_bytes(std::span(line)));
      log->close();
    }
    if (options_.on_epoch) options_.on_epoch(metrics);
    if (epoch == recipe_.epochs || is_spent() ||
        seconds_since(last_checkpoint_) >= options_.checkpoint_seconds)
      save();
  }

  bool is_spent() const {
    return recipe_.patience > 0 && done_ - result_.best_epoch >= recipe_.patience;
  }

  void check_loss(double loss, int64_t epoch, int64_t step) const {
    GRAFT_CHECK(std::isfinite(loss), "the loss is ", loss, " at step ", step + 1, " of epoch ",
                epoch, ": lower the learning rate (", recipe_.lr, ")");
  }

  // On the CPU the step is done and its loss was looked at before a parameter changed; a device has
  // it queued.
  StepResult take_step(const Batch& batch, int64_t epoch, int64_t step, double lr) {
    const ScopedStop none(nullptr);  // a step is taken whole
    StepOptions options{recipe_.label_smoothing,
                        recipe_.step,
                        {recipe_.seed, static_cast<uint64_t>(epoch), static_cast<uint64_t>(step)},
                        activations(),
                        class_weights_,
                        weight_of_class_,
                        optimizer_->loss_scale()};
    if (repeated_ && repeated_->takes(batch, options)) return (*repeated_)(batch, options, lr);
    options.backward_whole = [&](const Tensor& loss) {
      if (on_cpu()) check_loss(loss.item(), epoch, step);
      optimizer_->backward_and_step(loss, lr);
    };
    StepResult answer = run_training_step(network_, first_, batch, options);
    if (on_cpu()) {
      answer.read();
      check_loss(answer.loss, epoch, step);
    }
    if (answer.is_stepped) return answer;
    optimizer_->step(lr);
    network_.zero_grad();
    return answer;
  }

  EpochMetrics train_epoch(int64_t epoch) {
    network_.train(true);
    const auto start = Clock::now();
    const ScheduleOptions schedule{recipe_.schedule, recipe_.lr, recipe_.epochs * train_->batches(),
                                   recipe_.warmup_epochs * train_->batches()};
    int64_t step = (epoch - 1) * train_->batches(), seen = 0, correct = 0, left_out = 0;
    double loss_sum = 0;
    EpochMetrics metrics{.epoch = epoch};
    train_->start(epoch - 1);
    Batch batch;
    for (bool more = train_->next(batch); more; ++step) {
      check_stop();
      metrics.lr = learning_rate(schedule, step);
      StepResult answer = take_step(batch, epoch, step, metrics.lr);
      const Tensor labels = batch.labels;
      const auto count = std::ssize(batch.samples);
      more = train_->next(batch);  // while a device works
      answer.read();
      check_loss(answer.loss, epoch, step);
      left_out += !optimizer_->settle();
      for (size_t i = 0; i < answer.predictions.size(); ++i)
        correct += answer.predictions[i] == labels.data<int64_t>()[i];
      seen += count;
      loss_sum += answer.loss * static_cast<double>(count);
      metrics.loss = loss_sum / static_cast<double>(seen);
      metrics.train_accuracy = static_cast<double>(correct) / static_cast<double>(seen);
      if (options_.on_progress)
        options_.on_progress({"train", epoch, recipe_.epochs, seen, train_->samples(), metrics.loss,
                              metrics.train_accuracy});
    }
    if (left_out > 0)
      note(str(left_out, left_out == 1 ? " step" : " steps", " of epoch ", epoch,
               " left out, for a gradient was not finite; the loss scale is now ",
               optimizer_->loss_scale()));
    metrics.images_per_s = static_cast<double>(seen) / std::max(seconds_since(start), 1e-9);
    return metrics;
  }

  Evaluation validate(int64_t epoch) {
    const NoGradGuard no_grad;
    network_.train(false);
    Evaluation evaluation(std::ssize(data_.classes));
    val_->start(0);
    Batch batch;
    for (bool more = val_->next(batch); more;) {
      check_stop();
      const Tensor logits = forward(batch.x), labels = batch.labels;
      more = val_->next(batch);  // while a device works
      evaluation.add_logits(logits, labels);
      if (options_.on_progress)
        options_.on_progress({"validate", epoch, recipe_.epochs, evaluation.samples(),
                              val_->samples(), 0, evaluation.accuracy()});
    }
    return evaluation;
  }

  // The model file first, then the checkpoint that knows of it: after a kill in between, the epochs
  // since the older checkpoint are run again and write the same model file.
  void save() {
    const ScopedStop none(nullptr);
    if (options_.save_best && best_unsaved_) {
      const StateDict now = copy_of_changing();
      put(best_);
      network_.train(false);
      options_.save_best(result_.best_epoch, result_.best_accuracy);
      put(now);
    }
    best_unsaved_ = false;
    last_checkpoint_ = Clock::now();
    if (options_.folder.empty()) return;
    save_checkpoint(file("last.ckpt.safetensors"),
                    {changing(), best_, optimizer_->state(), recipe_.to_json(), options_.identity,
                     arithmetic_of(network_), done_, result_.best_epoch, result_.best_accuracy,
                     result_.history});
  }

  void start_files() {
    has_files_ = true;
    if (options_.folder.empty()) return;
    file_system().create_directories(options_.folder);
    write_file_atomically(file("metrics.jsonl"), std::string());
    save();
  }

  void resume() {
    const std::string path = file("last.ckpt.safetensors");
    GRAFT_CHECK(file_system().exists(path), path, ": there is no checkpoint to resume from");
    const Checkpoint c = load_checkpoint(path);
    for (const std::string& text : c.notes) note(text);
    if (options_.ram > 0) recipe_.step = step_plan_of(c.recipe);
    GRAFT_CHECK(c.recipe == recipe_.to_json(), path, ": is of another recipe (", c.recipe,
                "), this run's is ", recipe_.to_json());
    GRAFT_CHECK(c.identity == options_.identity, path,
                ": is of other weights or data than this run");
    if (const std::string here = arithmetic_of(network_); c.instruction_set != here)
      note(str("the checkpoint was made with ", c.instruction_set, " instructions, this run uses ",
               here, ": bits may differ"));
    GRAFT_CHECK(c.model.size() == changing().size(), path, ": has ", c.model.size(),
                " trainable tensors, expected ", changing().size());
    GRAFT_CHECK(c.epoch <= recipe_.epochs, path, ": finished ", c.epoch, " of ", recipe_.epochs,
                " epochs");
    put(c.model);
    optimizer_->load_state(c.optimizer);
    best_ = c.best;
    done_ = c.epoch;
    result_.history = c.history;
    result_.best_epoch = c.best_epoch;
    result_.best_accuracy = std::max(c.best_accuracy, 0.0);
    result_.best_loss = std::numeric_limits<double>::quiet_NaN();
    for (const EpochMetrics& metrics : c.history)
      if (metrics.epoch == c.best_epoch) result_.best_loss = metrics.val_loss;
    std::string lines;
    for (const EpochMetrics& metrics : c.history) lines += metrics.to_json() + "\n";
    write_file_atomically(file("metrics.jsonl"), lines);
    note(str("resumed after epoch ", done_, " of ", recipe_.epochs));
  }

  // Leaves the best epoch's values in the network, and knows their evaluation.
  void finish() {
    result_.stopped_early = done_ < recipe_.epochs;
    put(best_);
    is_best_ = true;
    network_.train(false);
    if (result_.best.samples() == 0) result_.best = validate(result_.best_epoch);
    if (features_) features_->remove_file();
  }

  StagedNetwork& network_;
  const io::OpenedData& data_;
  const io::Preprocess& preprocess_;
  Recipe recipe_;  // with the step planned
  const FitOptions& options_;
  io::Augment augment_;
  std::shared_ptr<io::DecodeGate> gate_;  // with FitOptions::ram, where images are decoded
  std::string decoded_;                   // the image that takes most
  std::unique_ptr<PrefixRunner> prefix_;
  std::unique_ptr<FrozenFeatures> features_;  // null: the prefix runs every epoch
  std::unique_ptr<Standardizer> standardizer_;
  std::unique_ptr<BatchSource> train_, val_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<RepeatedStep> repeated_;  // null: every step is queued anew
  Linear* head_ = nullptr;                  // set: it learns on standardised features
  size_t first_ = 0;                        // the first stage that trains
  Tensor class_weights_;                    // StepOptions::class_weights
  std::vector<double> weight_of_class_;
  StateDict best_;
  bool best_unsaved_ = false;
  bool has_files_ = false;
  bool is_best_ = false;  // the network holds the best epoch's values
  int64_t done_ = 0;      // epochs finished
  Clock::time_point last_checkpoint_ = Clock::now();
  FitResult result_;
};

}  // namespace

FitResult fit(StagedNetwork& network, const io::OpenedData& data, const io::Preprocess& preprocess,
              const Recipe& recipe, const FitOptions& options) {
  std::unique_ptr<FileLock> lock;
  if (!options.folder.empty() && !options.folder_is_locked)
    lock = lock_run(options.folder, options.on_note);
  if (recipe.balance != "sampling") return Run(network, data, preprocess, recipe, options)();
  GRAFT_CHECK(data.train != nullptr, "training needs a training and a validation part");
  io::OpenedData even = data;
  even.train = evenly_sampled(data.train, std::ssize(data.classes), recipe.seed);
  return Run(network, even, preprocess, recipe, options)();
}

Evaluation evaluate(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
                    const io::Preprocess& preprocess, int64_t classes, int64_t batch,
                    const std::function<void(int64_t, int64_t)>& progress) {
  network.train(false);
  PrefixRunner run(network, network.stages().size());
  return evaluate(run, std::move(dataset), preprocess, classes, batch, progress);
}

Evaluation evaluate(PrefixRunner& run, std::shared_ptr<const io::Dataset> dataset,
                    const io::Preprocess& preprocess, int64_t classes, int64_t batch,
                    const std::function<void(int64_t, int64_t)>& progress) {
  LoaderOptions options;
  options.batch = batch;
  options.device = run.device();
  BatchLoader loader(std::move(dataset), preprocess, options);
  Evaluation evaluation(classes);
  loader.start(0);
  Batch b;
  for (bool more = loader.next(b); more;) {
    const Tensor logits = run(b.x), labels = b.labels;
    more = loader.next(b);  // while a device works
    evaluation.add_logits(logits, labels);
    if (progress) progress(evaluation.samples(), loader.samples());
  }
  return evaluation;
}

}  // namespace graft::train
