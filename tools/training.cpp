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

}  // namespace

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

std::shared_ptr<train::Task> open_task(const io::OpenedData& data, const TrainingFlags& flags,
                                       train::Recipe& recipe) {
  recipe.task = task_for_data(flags.task, flags.data, data);
  apply_task_flags(flags, recipe);
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
