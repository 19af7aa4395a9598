// What finetune and pretrain share: the flags of a training run, and the run from data to report.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "graft/io/datasets/dataset.h"
#include "graft/io/preprocess.h"
#include "graft/layers/modules/staged_network.h"
#include "graft/tools/device.h"
#include "graft/tools/input_flags.h"
#include "graft/tools/network.h"
#include "graft/tools/training_data.h"
#include "graft/train/recipe.h"
#include "graft/train/tasks/task.h"

namespace CLI {
class App;
}

namespace graft::tools {

struct TrainingFlags {
  std::string data, val, out = "graft-run";
  double val_split = 0.2;
  int64_t folds = 0, fold = 1;  // of data without a validation part; see folds.h
  bool fold_is_group = false;   // a fold for each group; folds is found then
  std::string group_pattern{};  // beside columns.group
  io::TableColumns columns{};
  io::MaskOptions masks{};
  std::string describe{};  // a file; see models/description.h
  std::string window{};    // of grey values; "": the network's
  InputFlags input{};
  std::string resize, balance = "none", task = "auto";
  double broken = io::kToleratedBrokenShare;
  int64_t patience = 0;
  std::string recipe = "plain";
  std::optional<int64_t> epochs{}, probe_epochs{}, batch{}, warmup{}, views{};
  std::string image_size{};  // "": the network's
  std::optional<double> lr{}, momentum{}, weight_decay{};
  double layer_decay = 1, clip_norm = 0, smoothing = 0, ema = 0, mixup = 0, cutmix = 0;
  double sam = 0, l2_sp = 0, erase = 0;
  std::string decay_norms = "on";
  std::optional<std::string> optimizer{}, schedule{}, loss{}, decoder{};
  std::string augment = "auto";
  std::string cache_features = "auto";
  int64_t cache_ram = int64_t{2} << 30, ram = 0;
  DeviceFlags device{};
  std::string precision = "fp32", loss_scale = "dynamic";
  int workers = 0;
  int threads = 0;
  double checkpoint_seconds = 2;
  uint64_t seed = 0;
  bool resume = false, overwrite = false, int8 = false;
  double least_precision = 0, least_recall = 0;
  std::string tensorboard{};  // folder of event files; "": none
};

// Adds the flags above to a verb.
void add_training_flags(CLI::App& verb, TrainingFlags& flags);
// Of them those of how the weights learn beside optimizer and rate.
void add_recipe_flags(CLI::App& verb, TrainingFlags& flags);

// The flags that only some tasks take, into a recipe whose task is known.
void apply_task_flags(const TrainingFlags& flags, train::Recipe& recipe);

// default_recipe(freeze), or default_probing_recipe(), with the user's words put over it. A given
// optimizer without --lr gets the rate that suits it.
train::Recipe make_recipe(const TrainingFlags& flags, const std::string& freeze,
                          const std::string& batch_norm);

// Makes the network once the task and the data's first words are known; a task may take over the
// network's own head.
using NetworkMaker = std::function<Network(const TrainingData& data, train::Task& task)>;

// The data of the flags; and its task, whose name and flags go into the recipe, and which is said
// where the user did not name it.
TrainingData open_training_data(const TrainingFlags& flags);
std::shared_ptr<train::Task> open_task(const io::OpenedData& data, const TrainingFlags& flags,
                                       train::Recipe& recipe);

// Opens the data, makes the network, trains, writes the run folder, prints the result. Returns the
// exit code.
int train_and_report(const TrainingFlags& flags, const train::Recipe& recipe,
                     const NetworkMaker& make_network);

}  // namespace graft::tools
