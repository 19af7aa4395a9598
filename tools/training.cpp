#include "graft/tools/training.h"

#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/api/finetune.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/stop.h"
#include "graft/core/tensor/allocator.h"
#include "graft/io/datasets/dataset.h"
#include "graft/models/segmentation/segmentation.h"
#include "graft/tools/column_flags.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/interrupt.h"
#include "graft/tools/mask_flags.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/progress.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/run_folder.h"
#include "graft/tools/tensorboard.h"
#include "graft/tools/training_report.h"
#include "graft/tools/verbs.h"
#include "graft/train/memory_plan.h"
#include "graft/train/schedule.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"

namespace graft::tools {
namespace {

constexpr double kDecoderRate = 2e-3;

TrainingData open_training_data(const TrainingFlags& flags) {
  return open_summarized(flags.data,
                         {.columns = flags.columns,
                          .masks = flags.masks,
                          .answers = answers_for_task(flags.task),
                          .val_path = flags.val,
                          .val_split = flags.val_split,
                          .folds = flags.folds,
                          .fold = flags.fold,
                          .seed = flags.seed,
                          .group_pattern = flags.group_pattern,
                          .fold_is_group = flags.fold_is_group},
                         flags.broken, train::choose_input(flags.input.input, flags.data),
                         flags.ram,
                         flags.window.empty() ? io::GreyWindow{} : io::grey_window(flags.window));
}

models::Description read_description(const std::string& path) {
  constexpr int64_t kMostBytes = 65536;
  if (path.empty()) return {};
  return models::Description::from_json(read_text_file(path, kMostBytes), path);
}

// A head of many layers: no standardised features, no prior of a linear head, and Adam's rate that
// suits it. Windows of an image are taken at random, unless it is said otherwise.
void suit_a_decoder(train::Recipe& recipe, const TrainingFlags& flags) {
  recipe.standardize = recipe.head_prior = false;
  recipe.probe_lr = kDecoderRate;
  if (recipe.optimizer.name != "sgd" && !flags.lr && recipe.probe_epochs == 0)
    recipe.lr = kDecoderRate;
  if (flags.resize == "window" && flags.augment == "auto") recipe.augment = "light";
}

// The task, and why it was taken where the user did not say it.
std::shared_ptr<train::Task> open_task(const io::OpenedData& data, const TrainingFlags& flags,
                                       train::Recipe& recipe) {
  recipe.task = task_for_data(flags.task, flags.data, data);
  recipe.label_smoothing = flags.smoothing;
  if (flags.loss) recipe.loss = *flags.loss;
  if (flags.decoder) recipe.decoder = *flags.decoder;
  if (!data.answers_why.empty())
    say("task: ", recipe.task, ", because ", printable(data.answers_why), " (--task says another)");
  else if (flags.task != "auto")
    say("task: ", recipe.task, ", as asked for");
  recipe.validate();
  std::shared_ptr<train::Task> task = train::make_task(recipe, data);
  if (flags.least_precision > 0 || flags.least_recall > 0)
    task->choose_thresholds(flags.least_precision, flags.least_recall);
  const bool has_maps = !task->head().decoder.empty();
  GRAFT_CHECK(has_maps || !flags.decoder, "--decoder is for --task segment, this is ", recipe.task);
  if (has_maps) suit_a_decoder(recipe, flags);
  return task;
}

// A colour network fed with grey images, or the other way round, is said once.
void say_channel_rule(const io::OpenedData& data, const io::Preprocess& preprocess) {
  if (!preprocess.input.empty()) {
    say("note: of each of the ", data.files.many, " ", preprocess.sides(), " numbers enter the ",
        preprocess.channels, "-channel network",
        preprocess.channels > 1 ? ", the same in each channel" : "");
    return;
  }
  const int64_t known = data.train->header(0).channels,
                found = known > 0 ? known : data.train->image(0).channels;
  if (found == 1 && preprocess.channels == 3)
    say("note: grey images enter the 3-channel network with their one channel repeated");
  if (found == 1 && preprocess.channels == 1) say("note: grey images enter a 1-channel network");
  if (found == 3 && preprocess.channels == 1)
    say("note: colour images become grey (ITU-R 601 luma) for the 1-channel network");
}

// Why the kept epoch is not the one with the highest score.
void say_choice(const train::FitResult& fitted) {
  if (!fitted.kept_phase.empty()) say("kept: ", phases_text(fitted));
  if (fitted.highest_epoch == 0 || fitted.kept_phase == train::kProbePhase) return;
  const auto& before = fitted.history.at(static_cast<size_t>(fitted.highest_epoch - 1)).val.at(0);
  if (before.value == fitted.best_score) return;
  say("note: epoch ", fitted.best_epoch,
      " is kept, the latest that the validation images do not tell from epoch ",
      fitted.highest_epoch, " (", before.name, " ", fixed(before.value, 4), ")");
}

// The heap keeps little of what decoders free: it would count against --ram.
void give_freed_memory_back() {
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

double run_seconds(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

void listen(train::FitOptions& options, ProgressBar& bar, int64_t epochs, TensorboardLog* log) {
  options.on_progress = [&bar](const train::Progress& p) {
    const std::string phase = p.phase;
    bar.update(phase == "statistics" ? "batch-norm statistics"
               : phase == "features"
                   ? "frozen features"
                   : str(phase == "train" ? "epoch " : "checking ", p.epoch, "/", p.epochs),
               p.done, p.total, phase == "train" ? p.loss : -1,
               p.score.name.empty() ? -1 : p.score.value);
  };
  options.on_epoch = [&bar, epochs, log](const train::EpochMetrics& metrics) {
    bar.clear();
    if (log) log->add(metrics);
    say(metrics.phase, metrics.phase.empty() ? "" : " ", epoch_line(row_of(metrics), epochs));
  };
  options.on_note = [&bar](const std::string& note) {
    bar.clear();
    say("note: ", note);
  };
}

// Ranges from the training images into the card; what 8 bits make of the validation images, both on
// the CPU.
std::unique_ptr<train::Metric> measure_int8(Network& made, const io::OpenedData& data,
                                            const std::shared_ptr<const train::Task>& task,
                                            ProgressBar& bar) {
  StagedNetwork& network = *made.model.network;
  models::ModelCard& card = made.model.card;
  network.to(Device{});
  const auto progress = [&bar](int64_t done, int64_t total) { bar.update("int8", done, total); };
  card.int8 = train::calibrate(network, data.train, card.preprocess, 256, progress);
  train::PrefixRunner run(network, network.stages().size(), DType::f32, card.int8);
  auto metric = train::judge(run, data.val, card.preprocess, task, 32, progress);
  bar.clear();
  return metric;
}

// The kept network on a test part, which no choice was made by; "" when there is none.
std::string test_line(Network& made, const TrainingData& opened,
                      const std::shared_ptr<const train::Task>& task, const train::Recipe& recipe,
                      RunReport& report, ProgressBar& bar) {
  const auto& test = opened.opened.test;
  if (!test) return "";
  const int64_t planned = recipe.step.micro_batch > 0 ? recipe.step.micro_batch : recipe.batch;
  const auto metric = train::judge(
      *made.model.network, test, made.model.card.preprocess, task,
      opened.gate ? std::min<int64_t>(planned, 32) : 32,
      [&bar](int64_t done, int64_t total) { bar.update("test part", done, total); }, opened.gate);
  bar.clear();
  report.facts.emplace_back("test " + task->scores()[0].name,
                            str(fixed(metric->score(), 4), " on ", thousands(test->size()), " ",
                                opened.opened.files.many));
  return str("test     ", task->presentation()->headline(*metric), " on ", thousands(test->size()),
             " test ", opened.opened.files.many, ", by which nothing was chosen\n");
}

std::vector<std::string> task_choices() {
  std::vector<std::string> choices = train::task_names();
  choices.insert(choices.begin(), "auto");
  return choices;
}

}  // namespace

void add_training_flags(CLI::App& verb, TrainingFlags& f) {
  verb.add_option("--data", f.data,
                  "Images or sounds to train on: a folder of class folders (train/ and val/ or "
                  "test/ inside, "
                  "or not), of images and masks, "
                  "MNIST IDX, CIFAR, a table of images and labels (.csv .tsv .jsonl), or .npz "
                  "with x and y")
      ->required()
      ->type_name("PATH");
  verb.add_option("--val", f.val,
                  "Validation images (default: the data set's own, else --val-split)")
      ->type_name("PATH");
  verb.add_option("--val-split", f.val_split, "Share held out when there is no validation part")
      ->transform(real_number(0.01, 0.9))
      ->type_name("SHARE");
  verb.add_option_function<std::string>(
          "--folds",
          [&f](const std::string& folds) {
            f.fold_is_group = folds == "groups";
            f.folds = f.fold_is_group ? 0 : std::stoll(folds);
          },
          "K runs, RUN/1 to RUN/K, each with another K-th of the images held out: the mean "
          "result and its deviation; groups: a run for each group (--group-column, "
          "--group-pattern), which is held out (default: one run)")
      ->transform(CLI::Validator(
          [](std::string& text) {
            return text == "groups" ? std::string() : whole_number(2, 100)(text);
          },
          ""))
      ->type_name("K|groups");
  verb.add_option("--out", f.out,
                  "Folder for model, checkpoint, metrics and report; with a / at its end, "
                  "runs are numbered in it: runs/1, runs/2, ...")
      ->type_name("RUN");
  verb.add_option("--epochs", f.epochs,
                  "Passes over the data (default: 60 with a frozen backbone, else 10)")
      ->transform(whole_number(1, 100000))
      ->type_name("N");
  verb.add_option("--batch", f.batch, "Images a step (default 32)")
      ->transform(whole_number(1, 65536))
      ->type_name("N");
  verb.add_option("--optimizer", f.optimizer,
                  "sgd, adam, adamw or rmsprop (default: adam with a frozen backbone or after a "
                  "probe, else sgd)")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "rmsprop"}))
      ->type_name("NAME");
  verb.add_option(
          "--lr", f.lr,
          "Highest learning rate (default 0.01; without a frozen backbone adam and adamw "
          "0.001, rmsprop 0.0001; sgd with one 0.1; of tuning after a probe 0.0003, sgd 0.001)")
      ->transform(real_number_above(0, 1e6))
      ->type_name("F");
  verb.add_option("--momentum", f.momentum, "Of sgd and rmsprop (default 0.9)")
      ->transform(real_number(0, 1))
      ->type_name("F");
  verb.add_option("--weight-decay", f.weight_decay,
                  "Default: with a frozen backbone and adam or sgd, the head's features / (10 x "
                  "images), with adamw 0; else 1e-4")
      ->transform(real_number(0, 1e6))
      ->type_name("F");
  verb.add_option("--schedule", f.schedule,
                  "cosine, step, onecycle, constant, polynomial, exponential, or plateau: a tenth "
                  "when the validation loss stays (default cosine)")
      ->check(CLI::IsMember(train::schedule_names()))
      ->type_name("NAME");
  verb.add_option("--warmup", f.warmup,
                  "Epochs of rising rate (default: 0 with a frozen backbone, else 1)")
      ->transform(whole_number(0, 100000))
      ->type_name("N");
  verb.add_option("--image-size", f.image_size,
                  "Side of the network's input, or height and width (default: the network's)")
      ->transform(image_sides(8, 4096))
      ->type_name("N|HxW");
  add_input_flags(verb, f.input);
  add_column_flags(verb, f.columns);
  add_group_flags(verb, f.columns, f.group_pattern);
  add_mask_flags(verb, f.masks);
  add_resize_flag(verb, f.resize);
  add_window_flag(verb, f.window);
  add_pixel_flag(verb);
  verb.add_option("--broken", f.broken,
                  "Share of broken images in a part that is left out; with more the run stops")
      ->transform(real_number(0, 1))
      ->type_name("SHARE");
  verb.add_option(
          "--task", f.task,
          "What is learned: classify (one class an image), multilabel (any number of labels), "
          "regress (numbers), segment (the class of every pixel) or detect (boxes of objects); "
          "auto: "
          "what the data's form suggests, which is said")
      ->check(CLI::IsMember(task_choices()))
      ->type_name("TASK");
  verb.add_option("--loss", f.loss,
                  "Of --task regress: mse (default), l1 or huber; of --task segment: ce+dice "
                  "(default), ce, dice or focal")
      ->check(CLI::IsMember(train::loss_names()))
      ->type_name("NAME");
  verb.add_option("--decoder", f.decoder,
                  "Of --task segment: unet (default), fpn, deeplabv3 or fcn")
      ->check(CLI::IsMember(models::decoder_names()))
      ->type_name("NAME");
  add_recipe_flags(verb, f);
  verb.add_option("--label-smoothing", f.smoothing,
                  "Of --task classify: share of each target that is spread evenly over all classes")
      ->transform(real_number(0, 0.999))
      ->type_name("SHARE");
  verb.add_option("--balance", f.balance,
                  "Classes of uneven size: none; weights: each class counts alike in the loss (of "
                  "several labels: those that have one as much as those that do not); sampling: "
                  "images of small classes are repeated")
      ->check(CLI::IsMember({"none", "weights", "sampling"}))
      ->type_name("HOW");
  verb.add_option("--least-precision", f.least_precision,
                  "Of --task classify and multilabel: thresholds, chosen on the validation part, "
                  "from which on at least this share of a class's answers are right; below them "
                  "the answer is \"don't know\" (0: none)")
      ->transform(real_number(0, 1))
      ->type_name("P");
  verb.add_option("--least-recall", f.least_recall,
                  "The same, so that at least this share of a class's images are still answered "
                  "rightly (0: none)")
      ->transform(real_number(0, 1))
      ->type_name("R");
  verb.add_option("--tensorboard", f.tensorboard,
                  "Folder for an event file that TensorBoard reads: scalars of each epoch, the "
                  "command, the recipe")
      ->type_name("DIR");
  verb.add_option("--patience", f.patience,
                  "Stop after N epochs in a row without a better one (0: never)")
      ->transform(whole_number(0, 100000))
      ->type_name("N");
  verb.add_option("--augment", f.augment,
                  "auto, none or light: flip and random resized crop of 0.8 to 1 (auto: none with "
                  "a frozen backbone, else light)")
      ->check(CLI::IsMember({"auto", "none", "light"}))
      ->type_name("NAME");
  verb.add_option("--cache-features", f.cache_features,
                  "auto: features of a frozen prefix are computed once; off: every epoch")
      ->check(CLI::IsMember({"auto", "off"}))
      ->type_name("NAME");
  verb.add_option("--ram", f.ram,
                  "Memory that the run may take: plans micro-batches and recomputation to keep "
                  "within, and says so (default: no limit)")
      ->transform(size_in_bytes(1))
      ->type_name("SIZE");
  verb.add_option("--cache-ram", f.cache_ram,
                  "Memory for frozen features; what does not fit is in RUN/features.cache only "
                  "(default 2G)")
      ->transform(size_in_bytes(0))
      ->type_name("SIZE");
  verb.add_option("--views", f.views,
                  "With --augment light: every image is seen as N fixed views in turn, itself "
                  "among them, whose frozen features are computed once; "
                  "0: changed anew every epoch (default: 4 with a frozen backbone, else 0)")
      ->transform(whole_number(0, 1000))
      ->type_name("N");
  verb.add_option("--workers", f.workers,
                  "Threads that prepare batches ahead (0: the compute threads do it)")
      ->transform(whole_number(0, 256))
      ->type_name("N");
  verb.add_option("--threads", f.threads,
                  "Compute threads (0: one per core); the result does not depend on it")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb.add_option("--precision", f.precision,
                  "fp32; bf16, on CUDA fp16: activations and their gradients in 16 bits, faster "
                  "where the processor multiplies them; weights, statistics and loss stay fp32")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->type_name("P");
  verb.add_option("--loss-scale", f.loss_scale,
                  "With fp16: what the loss is multiplied by before backward; dynamic: doubles "
                  "while gradients are finite, halves when one is not")
      ->check([](const std::string& text) {
        return text == "dynamic" ? std::string() : real_number(1, 16777216)(text);
      })
      ->type_name("F");
  add_device_flags(verb, f.device);
  verb.add_option("--seed", f.seed, "Random seed")
      ->transform(whole_number(0, std::numeric_limits<uint64_t>::max()))
      ->type_name("N");
  verb.add_option("--checkpoint-seconds", f.checkpoint_seconds,
                  "A checkpoint after an epoch when this long passed since the last one")
      ->transform(real_number(0, 1e9))
      ->type_name("S");
  verb.add_option("--describe", f.describe,
                  "JSON with data, intended_use and limits, texts that the model's card keeps and "
                  "inspect shows")
      ->type_name("FILE");
  verb.add_flag("--int8", f.int8,
                "At the end, calibrate 8-bit integers on the training images for --precision int8; "
                "the report says what they cost per class");
  verb.add_flag("--resume", f.resume, "Go on from the checkpoint in RUN, to the same bits");
  verb.add_flag("--overwrite", f.overwrite, "Start again in a RUN that is not empty");
}

int train_and_report(const TrainingFlags& flags, const train::Recipe& asked,
                     const NetworkMaker& make_network) {
  const auto began = std::chrono::steady_clock::now();
  if (flags.ram > 0) give_freed_memory_back();
  const InterruptGuard interrupt;
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  GRAFT_CHECK(file_system().exists(flags.data), flags.data, ": there is no such file or folder");
  const Device device = open_named_device(
      flags.device, flags.precision,
      flags.ram > 0 ? "--ram plans the host's memory, for training on the CPU" : "");
  const models::Description description = read_description(flags.describe);
  const RunFolder run = open_run_folder(flags.out, flags.resume, flags.overwrite);
  TrainingData opened = open_training_data(flags);
  const io::OpenedData& data = opened.opened;
  train::Recipe recipe = asked;
  const std::shared_ptr<train::Task> task = open_task(data, flags, recipe);
  Network made = make_network(opened, *task);
  made.model.card.description = description;
  doubt_shapes(opened, made.model.card.preprocess);
  write_file_atomically(run.data(), opened.summary.to_json() + "\n");
  say_channel_rule(data, made.model.card.preprocess);
  made.model.network->to(device);

  ProgressBar bar;
  train::FitOptions options;
  options.task = task;
  options.folder = run.path;
  options.folder_is_locked = true;
  options.resume = run.resume;
  options.more_epochs = flags.epochs.has_value();
  options.identity = run_identity(made.model.card, data);
  options.neutral_norms = made.model.card.neutral_norms;
  options.head_is_trained = made.head_is_trained;
  options.workers = flags.workers;
  options.cache_ram = flags.cache_ram;
  options.ram = flags.ram;
  options.checkpoint_seconds = flags.checkpoint_seconds;
  options.stop = &interrupt.flag();
  train::Recipe planned = recipe;
  options.on_plan = [&](const train::StepPlan& step) { planned.step = step; };
  models::check_saves(*made.model.network, made.model.card);  // before, not after the training
  const auto save = [&](const train::Metric& validation) {
    const auto chosen = task->chosen_by(validation);
    models::save_model(run.model(), *made.model.network,
                       trained_card(made.model, chosen ? *chosen : *task, data, planned));
  };
  options.save_best = [&](int64_t, const train::Metric& validation) { save(validation); };
  std::optional<TensorboardLog> log;
  if (!flags.tensorboard.empty()) {
    const std::string fold = flags.folds > 0 ? join_path(flags.tensorboard, str(flags.fold)) : "";
    log.emplace(fold.empty() ? flags.tensorboard : fold);
    log->text("recipe", recipe.to_json());
  }
  listen(options, bar, recipe.all_epochs(), log ? &*log : nullptr);
  const train::FitResult fitted =
      train::fit(*made.model.network, data, made.model.card.preprocess, recipe, options);
  bar.clear();
  if (const std::string changed = say_changed_files(data); !changed.empty())
    opened.summary.notes.push_back(changed);
  if (fitted.interrupted) {
    if (file_system().exists(run.checkpoint()))
      say("interrupted: ", run.checkpoint(),
          " is kept, with every finished epoch; the same command with --resume goes on from it");
    else
      say("interrupted before the first step; the same command with --overwrite starts again");
    return exit_interrupted;
  }
  const std::shared_ptr<const train::Task> chosen = task->chosen_by(*fitted.best);
  const std::shared_ptr<const train::Task> judge = chosen ? chosen : task;
  RunReport report = make_report({made, data, planned, fitted, opened.summary, *judge, flags.data});
  std::string more_lines = test_line(made, opened, judge, planned, report, bar);
  const auto shown = judge->presentation();
  const std::string sure = shown->doubt(*fitted.best);
  if (!sure.empty()) {
    say("note: ", sure);
    report.warnings.push_back(sure);
  }
  if (fitted.stopped_early)
    say("note: stopped after epoch ", fitted.history.size(), " of ", recipe.all_epochs(), ": ",
        flags.patience, " epochs in a row were no better than epoch ",
        std::ssize(fitted.history) - flags.patience);
  say_choice(fitted);
  for (const std::string& choice : task->choices(*fitted.best)) {
    say("note: ", printable(choice));
    report.warnings.push_back(choice);
  }
  bool is_int8_missing = false;
  if (flags.int8) try {
      ExecContext one(1);  // one image at a time where memory is counted
      const ScopedExecContext within(flags.ram > 0 ? one : context);
      const ScopedStop stop(&interrupt.flag());
      const auto int8 = measure_int8(made, data, judge, bar);
      save(*fitted.best);
      const std::string& score = task->scores()[0].name;
      report.results = shown->html(*fitted.best, int8.get(), "int8");
      report.facts.emplace_back(score + " in int8", fixed(int8->score(), 4));
      more_lines += str("in int8  ", score, " ", fixed(int8->score(), 4), ", calibrated on ",
                        made.model.card.int8.images, " training images\n");
    } catch (const Stopped&) {
      bar.clear();
      is_int8_missing = true;
      more_lines += "in int8  not measured: interrupted; the model is not calibrated for it\n";
    }
  if (flags.ram > 0)
    report.warnings.push_back("no pictures: with --ram no image is decoded for them");
  else
    report.pictures = pictures_of(made, data, judge, *fitted.best);
  report.facts.emplace_back("took", duration(run_seconds(began)));
  write_file_atomically(run.report(), report_html(report));
  if (flags.ram > 0)
    say("memory: at most ", size_text(peak_resident_bytes()), " were resident; tensors took ",
        size_text(cpu_allocator().stats().peak_bytes), " of the ", size_text(fitted.planned_bytes),
        " planned");
  if (!fitted.frozen_sha256.empty())
    say("frozen tensors are unchanged (SHA-256 ", fitted.frozen_sha256.substr(0, 16), "...)");
  result(str(shown->headline(*fitted.best), " on ", thousands(data.val->size()), " validation ",
             data.files.many, ", epoch ", fitted.best_epoch, " of ", recipe.all_epochs(),
             "\nmodel    ", run.model(), "\nreport   ", run.report(), "\n", more_lines));
  return is_int8_missing ? exit_interrupted : 0;
}

}  // namespace graft::tools
