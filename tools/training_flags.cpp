// The flags of the verbs that train.
#include <CLI/CLI.hpp>
#include <limits>

#include "graft/models/segmentation/segmentation.h"
#include "graft/tools/column_flags.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/mask_flags.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/training.h"
#include "graft/train/schedule.h"
#include "graft/train/tasks/table.h"

namespace graft::tools {
namespace {

std::vector<std::string> task_choices() {
  std::vector<std::string> choices = train::task_names();
  choices.insert(choices.begin(), "auto");
  return choices;
}

}  // namespace

void apply_task_flags(const TrainingFlags& flags, train::Recipe& recipe) {
  recipe.label_smoothing = flags.smoothing;
  if (flags.loss) recipe.loss = *flags.loss;
  if (flags.decoder) recipe.decoder = *flags.decoder;
}

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
  verb.add_option(
          "--optimizer", f.optimizer,
          "sgd, adam, adamw, rmsprop, lars or lamb (default: adam with a frozen backbone or "
          "after a probe, else sgd)")
      ->check(CLI::IsMember(train::optimizer_names()))
      ->type_name("NAME");
  verb.add_option(
          "--lr", f.lr,
          "Highest learning rate (default 0.01; without a frozen backbone adam, adamw and lamb "
          "0.001, rmsprop 0.0001; sgd with one 0.1; of tuning after a probe 0.0003, sgd 0.001; "
          "lars ten times sgd's)")
      ->transform(real_number_above(0, 1e6))
      ->type_name("F");
  verb.add_option("--momentum", f.momentum, "Of sgd, lars and rmsprop (default 0.9)")
      ->transform(real_number(0, 1))
      ->type_name("F");
  verb.add_option("--weight-decay", f.weight_decay,
                  "Default: with a frozen backbone and adam or sgd, the head's features / (10 x "
                  "images), with adamw 0; else 1e-4. With --l2-sp it is the head's alone")
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
                  "Of --task classify: ce (default) or focal; of --task regress: mse (default), l1 "
                  "or huber; of --task segment: ce+dice (default), ce, dice or focal")
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
  verb.add_option(
          "--augment", f.augment,
          "auto, none or light: flip and random resized crop of 0.8 to 1; strong: crops from "
          "0.4, and colours; trivial, rand: light, then TrivialAugment's change or two of "
          "RandAugment's (auto: none with a frozen backbone, else light)")
      ->check(CLI::IsMember({"auto", "none", "light", "strong", "trivial", "rand"}))
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
                  "With --augment: every image is seen as N fixed views in turn, itself "
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

}  // namespace graft::tools
