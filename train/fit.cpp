#include "graft/train/fit.h"

#include <chrono>
#include <cmath>

#include "graft/core/autograd/record.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/dropout.h"
#include "graft/train/batch_source.h"
#include "graft/train/checkpoint.h"
#include "graft/train/freezing.h"
#include "graft/train/schedule.h"

namespace graft::train {
namespace {

constexpr int64_t kFeatureBytes = int64_t{4} << 30;  // a larger feature cache is not made: the prefix then runs every epoch
constexpr int64_t kFeatureBatch = 32;

struct Interrupted {};  // thrown and caught within fit()

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One run of fit().
class Run {
 public:
  Run(StagedNetwork& network, const io::OpenedData& data, const io::Preprocess& preprocess, const Recipe& recipe, const FitOptions& options)
      : network_(network), data_(data), preprocess_(preprocess), recipe_(recipe), options_(options), augment_(io::augment_named(recipe.augment)) {}

  FitResult operator()() {
    recipe_.validate();
    GRAFT_CHECK(data_.train && data_.val, "training needs a training and a validation part");
    apply_freezing(network_, recipe_);
    give_statistics();
    if (recipe_.batch_norm == "adapt") reestimate_statistics(network_, *statistics_loader());
    network_.train(true);
    const std::string frozen_before = frozen_sha256(network_);
    prepare_optimizer();
    if (options_.resume) resume();
    try {
      prepare_sources();
      if (!options_.resume) start_files();
      for (int64_t epoch = done_ + 1; epoch <= recipe_.epochs; ++epoch) run_epoch(epoch);
      finish();
    } catch (const Interrupted&) {
      result_.interrupted = true;
    }
    result_.frozen_sha256 = frozen_sha256(network_);
    GRAFT_ASSERT(result_.frozen_sha256 == frozen_before);
    return std::move(result_);
  }

 private:
  std::string file(const char* name) const { return join_path(options_.folder, name); }
  void note(const std::string& text) const {
    if (options_.on_note) options_.on_note(text);
  }
  void check_stop() const {
    if (options_.stop && options_.stop->load()) throw Interrupted{};
  }

  // A resumed run has them in its checkpoint, but starts from the same network as the first: the pass is cheap.
  void give_statistics() {
    const auto moving = norms_that_move(network_, options_.neutral_norms, recipe_);
    if (moving.empty()) return;
    note(str(moving.size(), " batch norms were folded into their convolutions: one pass over the training images gives them statistics; the network's function stays the same"));
    take_statistics(network_, moving, *loader(data_.train, recipe_.batch, false));
  }

  std::unique_ptr<BatchLoader> loader(std::shared_ptr<const io::Dataset> dataset, int64_t batch, bool training) const {
    LoaderOptions o;
    o.batch = batch;
    o.shuffle = training;
    o.drop_single = training;
    o.seed = recipe_.seed;
    if (training) o.augment = augment_;
    o.workers = options_.workers;
    return std::make_unique<BatchLoader>(std::move(dataset), preprocess_, o);
  }

  // For batch norms to re-estimate their statistics: every image as it is, but for a last batch of one.
  std::unique_ptr<BatchLoader> statistics_loader() const {
    LoaderOptions o;
    o.batch = recipe_.batch;
    o.drop_single = true;
    o.workers = options_.workers;
    return std::make_unique<BatchLoader>(data_.train, preprocess_, o);
  }

  void prepare_optimizer() {
    std::vector<NamedTensor> trainable;
    for (const NamedTensor& p : network_.parameters())
      if (requires_grad(p.tensor)) trainable.push_back(p);
    optimizer_ = make_optimizer(std::move(trainable), recipe_.optimizer);
  }

  // The head, when it alone trains and is linear: then it may learn on standardised features.
  Linear* lone_linear_head() {
    const size_t last = network_.stages().size() - 1;
    if (network_.frozen_stages() != last) return nullptr;
    const auto modules = network_.stage_modules(last);
    return modules.size() == 1 ? dynamic_cast<Linear*>(modules[0]) : nullptr;
  }

  FeatureSet features_of(std::shared_ptr<const io::Dataset> dataset) {
    const auto from = loader(std::move(dataset), kFeatureBatch, false);
    return extract_features(*prefix_, *from, [&](int64_t done, int64_t total) {
      check_stop();
      if (options_.on_progress) options_.on_progress({"features", 0, recipe_.epochs, done, total, 0, 0});
    });
  }

  bool features_fit() {
    const NoGradGuard no_grad;
    const Tensor one = (*prefix_)(Tensor::zeros({1, preprocess_.channels, preprocess_.size, preprocess_.size},
                                                {.format = MemoryFormat::channels_last}));
    return one.bytes() <= kFeatureBytes / (data_.train->size() + data_.val->size());
  }

  void prepare_sources() {
    const size_t frozen = network_.frozen_stages();
    GRAFT_CHECK(frozen < network_.stages().size(), "every stage is frozen: nothing is left to train");
    first_ = frozen;
    if (frozen > 0) prefix_ = std::make_unique<PrefixRunner>(network_, frozen, recipe_.activations());
    if (recipe_.standardize) head_ = lone_linear_head();
    const bool cache = frozen > 0 && recipe_.cache_features && !augment_.any() && features_fit();
    if (cache) result_.cached_stages = static_cast<int64_t>(frozen);
    FeatureSet train;
    if (cache || head_) train = features_of(data_.train);
    if (head_) standardizer_ = std::make_unique<Standardizer>(Standardizer::of(train.features));
    if (cache) {
      if (head_) train.features = standardizer_->apply(train.features);
      train_ = cached_source(std::move(train), {recipe_.batch, true, true, recipe_.seed});
      val_ = cached_source(features_of(data_.val), {recipe_.batch, false, false, recipe_.seed});
    } else {
      train_ = streaming_source(loader(data_.train, recipe_.batch, true), prefix_.get(), standardizer_.get());
      val_ = streaming_source(loader(data_.val, recipe_.batch, false), prefix_.get(), nullptr);
    }
    GRAFT_CHECK(train_->batches() > 0, "one training sample is too few");
  }

  // What the trained stages take, in the recipe's precision. A head on standardised features computes in fp32 anyway.
  Tensor forward(const Tensor& x) {
    const Tensor entering = head_ ? x : functional::cast(x, recipe_.activations());
    return functional::cast(network_.forward_stages(entering, first_, network_.stages().size()), DType::f32);
  }

  // The tensors that training can change.
  StateDict changing() {
    StateDict state;
    network_.for_each_module([&](const std::string& path, Module& module) {
      if (module.frozen()) return;
      for (const auto& [name, tensor] : module.own_tensors()) state.add(path.empty() ? name : path + "." + name, tensor);
    });
    return state;
  }
  StateDict copy_of_changing() {
    StateDict copy;
    for (const auto& [name, tensor] : changing()) copy.add(name, tensor.clone());
    return copy;
  }
  void put(const StateDict& values) {
    for (const auto& [name, tensor] : changing()) Tensor(tensor).copy_from(values.at(name));
  }

  // Runs f with the head folded to take plain features.
  template <class F>
  void with_plain_head(F&& f) {
    StateDict before;
    if (head_) before = standardizer_->fold(*head_);
    f();
    if (!head_) return;
    Tensor weight = head_->weight(), bias = head_->bias();
    weight.copy_from(before.at("weight"));
    bias.copy_from(before.at("bias"));
  }

  void run_epoch(int64_t epoch) {
    const auto start = Clock::now();
    EpochMetrics metrics = train_epoch(epoch);
    with_plain_head([&] {
      const Evaluation evaluation = validate(epoch);
      metrics.val_accuracy = evaluation.accuracy();
      if (metrics.val_accuracy <= result_.best_accuracy && result_.best_epoch > 0) return;
      result_.best_accuracy = metrics.val_accuracy;
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
      const auto log = file_system().open_append(file("metrics.jsonl"));
      log->append(std::as_bytes(std::span(line)));
      log->close();
    }
    if (options_.on_epoch) options_.on_epoch(metrics);
    if (epoch == recipe_.epochs || seconds_since(last_checkpoint_) >= options_.checkpoint_seconds) save();
  }

  EpochMetrics train_epoch(int64_t epoch) {
    network_.train(true);
    const auto start = Clock::now();
    const ScheduleOptions schedule{recipe_.schedule, recipe_.lr, recipe_.epochs * train_->batches(), recipe_.warmup_epochs * train_->batches()};
    int64_t step = (epoch - 1) * train_->batches(), seen = 0, correct = 0;
    double loss_sum = 0;
    EpochMetrics metrics{.epoch = epoch};
    train_->start(epoch - 1);
    for (Batch batch; train_->next(batch); ++step) {
      check_stop();
      metrics.lr = learning_rate(schedule, step);
      set_dropout_streams(network_, recipe_.seed, static_cast<uint64_t>(epoch), static_cast<uint64_t>(step));
      const Tensor logits = forward(batch.x);
      const Tensor loss = functional::cross_entropy(logits, batch.labels, {.label_smoothing = recipe_.label_smoothing});
      GRAFT_CHECK(std::isfinite(loss.item()), "the loss is ", loss.item(), " at step ", step + 1, " of epoch ", epoch,
                  ": lower the learning rate (", recipe_.lr, ")");
      optimizer_->backward_and_step(loss, metrics.lr);
      const auto count = std::ssize(batch.samples);
      const auto answers = predictions(logits);
      for (size_t i = 0; i < answers.size(); ++i) correct += answers[i] == batch.labels.data<int64_t>()[i];
      seen += count;
      loss_sum += loss.item() * static_cast<double>(count);
      metrics.loss = loss_sum / static_cast<double>(seen);
      metrics.train_accuracy = static_cast<double>(correct) / static_cast<double>(seen);
      if (options_.on_progress)
        options_.on_progress({"train", epoch, recipe_.epochs, seen, train_->samples(), metrics.loss, metrics.train_accuracy});
    }
    metrics.images_per_s = static_cast<double>(seen) / std::max(seconds_since(start), 1e-9);
    return metrics;
  }

  Evaluation validate(int64_t epoch) {
    const NoGradGuard no_grad;
    network_.train(false);
    Evaluation evaluation(std::ssize(data_.classes));
    val_->start(0);
    for (Batch batch; val_->next(batch);) {
      check_stop();
      evaluation.add(predictions(forward(batch.x)), batch.labels);
      if (options_.on_progress)
        options_.on_progress({"validate", epoch, recipe_.epochs, evaluation.samples(), val_->samples(), 0, evaluation.accuracy()});
    }
    return evaluation;
  }

  // The model file first, then the checkpoint that knows of it: after a kill in between, the epochs since the older
  // checkpoint are run again and write the same model file.
  void save() {
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
                     std::string(name_of(current_context().instruction_set())), done_, result_.best_epoch, result_.best_accuracy, result_.history});
  }

  void start_files() {
    if (options_.folder.empty()) return;
    file_system().create_directories(options_.folder);
    write_file_atomically(file("metrics.jsonl"), std::string());
    save();
  }

  void resume() {
    const std::string path = file("last.ckpt.safetensors");
    GRAFT_CHECK(file_system().exists(path), path, ": there is no checkpoint to resume from");
    const Checkpoint c = load_checkpoint(path);
    GRAFT_CHECK(c.recipe == recipe_.to_json(), path, ": is of another recipe (", c.recipe, "), this run's is ", recipe_.to_json());
    GRAFT_CHECK(c.identity == options_.identity, path, ": is of other weights or data than this run");
    const auto isa = name_of(current_context().instruction_set());
    if (c.instruction_set != isa)
      note(str("the checkpoint was made with ", c.instruction_set, " instructions, this machine uses ", isa, ": bits may differ"));
    GRAFT_CHECK(c.model.size() == changing().size(), path, ": has ", c.model.size(), " trainable tensors, expected ", changing().size());
    put(c.model);
    optimizer_->load_state(c.optimizer);
    best_ = c.best;
    done_ = c.epoch;
    result_.history = c.history;
    result_.best_epoch = c.best_epoch;
    result_.best_accuracy = std::max(c.best_accuracy, 0.0);
    std::string lines;
    for (const EpochMetrics& metrics : c.history) lines += metrics.to_json() + "\n";
    write_file_atomically(file("metrics.jsonl"), lines);
    note(str("resumed after epoch ", done_, " of ", recipe_.epochs));
  }

  // Leaves the best epoch's values in the network, and knows their evaluation.
  void finish() {
    put(best_);
    network_.train(false);
    if (result_.best.samples() == 0) result_.best = validate(result_.best_epoch);
  }

  StagedNetwork& network_;
  const io::OpenedData& data_;
  const io::Preprocess& preprocess_;
  const Recipe& recipe_;
  const FitOptions& options_;
  io::Augment augment_;
  std::unique_ptr<PrefixRunner> prefix_;
  std::unique_ptr<Standardizer> standardizer_;
  std::unique_ptr<BatchSource> train_, val_;
  std::unique_ptr<Optimizer> optimizer_;
  Linear* head_ = nullptr;  // set: it learns on standardised features
  size_t first_ = 0;        // the first stage that trains
  StateDict best_;
  bool best_unsaved_ = false;
  int64_t done_ = 0;  // epochs finished
  Clock::time_point last_checkpoint_ = Clock::now();
  FitResult result_;
};

}  // namespace

FitResult fit(StagedNetwork& network, const io::OpenedData& data, const io::Preprocess& preprocess, const Recipe& recipe,
              const FitOptions& options) {
  return Run(network, data, preprocess, recipe, options)();
}

Evaluation evaluate(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset, const io::Preprocess& preprocess,
                    int64_t classes, int64_t batch, const std::function<void(int64_t, int64_t)>& progress) {
  network.train(false);
  LoaderOptions options;
  options.batch = batch;
  BatchLoader loader(std::move(dataset), preprocess, options);
  PrefixRunner run(network, network.stages().size());
  Evaluation evaluation(classes);
  loader.start(0);
  for (Batch b; loader.next(b);) {
    evaluation.add(predictions(run(b.x)), b.labels);
    if (progress) progress(evaluation.samples(), loader.samples());
  }
  return evaluation;
}

}  // namespace graft::train
