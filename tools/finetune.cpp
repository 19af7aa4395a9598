// graft finetune and graft pretrain: the same run, from a weight file or from random weights.
#include "graft/tools/finetune.h"

#include <CLI/CLI.hpp>

#include "graft/layers/modules/default_values.h"
#include "graft/models/initialization.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/folds.h"
#include "graft/tools/output.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/training.h"
#include "graft/tools/verbs.h"
#include "graft/train/memory_plan.h"
#include "graft/train/tasks/table.h"

namespace graft::tools {
namespace {

// The network's input, which a head of maps is made for.
void apply_input_flags(Network& made, const train::Input& samples, const train::Task& task,
                       const TrainingFlags& flags) {
  io::Preprocess& input = made.model.card.preprocess;
  samples.enter(input, flags.input.settings);
  apply_image_size(input, flags.image_size);
  apply_resize(input, flags.resize);
  apply_window(input, flags.window);
  if (flags.resize.empty() && !task.head().decoder.empty()) apply_whole(input);
  GRAFT_CHECK(!input.own_scale || train::answers_for(task.name()) == io::AnswerKind::maps,
              "--resize window: windows at an image's own scale are for images with masks; this is "
              "task ",
              task.name());
  (void)task.made_up_targets(1, input);  // refuses sides that the task cannot use
}

}  // namespace

train::Recipe recipe_of(const FinetuneFlags& flags) {
  return make_recipe(flags.training,
                     flags.freeze.value_or(flags.training.recipe == "plain" ? "backbone" : "none"),
                     flags.bn);
}

Network make_finetuned(const FinetuneFlags& flags, const TrainingData& data, train::Task& task) {
  const int64_t ram = flags.training.ram;
  models::Imported imported = models::import_weights(
      flags.weights,
      flags.source.options(
          {.arch = flags.arch,
           .cut = flags.cut,
           .channels = channel_rule(flags.channels),
           .check_bytes = ram > 0 ? std::max<int64_t>(ram - train::kProcessBytes, 1) : 0}));
  apply_source_flags(flags.source, imported);
  Network made{std::move(imported.model), ""};
  const std::string sides = made.model.card.preprocess.sides();
  apply_input_flags(made, *data.input, task, flags.training);
  const bool fits =  // a head of maps is for images of one size
      task.head().decoder.empty() || made.model.card.preprocess.sides() == sides;
  made.head_is_trained =
      keep_or_give_head(made.model, task, flags.head == "auto" && fits, flags.training.seed);
  check_on_images(made.model, data.opened.train, imported.certificate, ram);
  imported.certificate.head =
      made.head_is_trained
          ? str("kept: ", models::head_path(made.model.card.architecture), ", ", task.what(),
                ", which are the data's (--head new starts from a new one)")
          : str("new: ", models::head_path(made.model.card.architecture), ", ", task.what(),
                ", initialised from seed ", flags.training.seed);
  made.certificate = imported.certificate.to_text();
  say_text(made.certificate);
  return made;
}

namespace {

int finetune_once(const FinetuneFlags& flags) {
  return train_and_report(flags.training, recipe_of(flags),
                          [&](const TrainingData& data, train::Task& task) {
                            return make_finetuned(flags, data, task);
                          });
}

int finetune(const FinetuneFlags& flags) {
  return over_folds(flags.training, [&](const TrainingFlags& training) {
    FinetuneFlags one = flags;
    one.training = training;
    return finetune_once(one);
  });
}

struct PretrainFlags {
  TrainingFlags training;
  std::string arch;
};

int pretrain_once(const PretrainFlags& flags) {
  GRAFT_CHECK(flags.training.l2_sp == 0,
              "--l2-sp draws weights towards a source's; pretrain begins with random ones");
  return train_and_report(
      flags.training, make_recipe(flags.training, "none", "auto"),
      [&](const TrainingData& data, train::Task& task) {
        Network made;
        models::ModelCard& card = made.model.card;
        card.architecture = models::architecture_named(flags.arch);
        card.preprocess = io::imagenet_preprocess(224);
        if (std::holds_alternative<models::CifarResNetConfig>(card.architecture)) {
          card.preprocess = io::imagenet_preprocess(32);
          card.preprocess.resize_to = 0;
        }
        const ScopedUnsetValues unset;  // they come below
        made.model.network = models::make_network(card.architecture);
        models::initialize(*made.model.network, flags.training.seed);
        apply_input_flags(made, *data.input, task, flags.training);
        give_head(made.model, task, flags.training.seed);
        say("network: ", models::describe(card.architecture), ", random weights from seed ",
            flags.training.seed);
        return made;
      });
}

int pretrain(const PretrainFlags& flags) {
  return over_folds(flags.training, [&](const TrainingFlags& training) {
    PretrainFlags one = flags;
    one.training = training;
    return pretrain_once(one);
  });
}

}  // namespace

void add_finetune_flags(CLI::App& verb, FinetuneFlags& f) {
  verb.add_option(
          "--weights", f.weights,
          "Pretrained weights: .safetensors, .npz, .onnx, .pt2, .tflite, .pth/.th, .h5/.keras, "
          ".params, a SavedModel's folder, or a model of graft")
      ->required()
      ->type_name("FILE");
  verb.add_option("--arch", f.arch,
                  "The network's name, checked against the file (default: guessed from it; an "
                  ".onnx then is run as the graph that it is)")
      ->check(CLI::IsMember(models::architecture_names()))
      ->type_name("NAME");
  verb.add_option("--cut", f.cut,
                  "auto: after the last whole stage in the file (a graph: in front of its "
                  "classifier); or a stage: layer3, features.4; or a graph's node")
      ->type_name("STAGE");
  verb.add_option("--head", f.head,
                  "auto: the file's head is kept where its labels are the data's classes; new: a "
                  "new one")
      ->check(CLI::IsMember({"auto", "new"}))
      ->type_name("WHICH");
  verb.add_option("--freeze", f.freeze,
                  "backbone (all but the new head), none, or stages: stem,layer1,...; ..NAME: all "
                  "up to that stage or node (default: backbone; with --recipe probe-then-tune "
                  "none, and what stays frozen after the probe)")
      ->type_name("WHAT");
  verb.add_option("--bn", f.bn,
                  "Batch norm: source (its statistics stay), adapt (re-estimated on your data), "
                  "train; auto: source where frozen, else train")
      ->check(CLI::IsMember({"auto", "source", "adapt", "train"}))
      ->type_name("POLICY");
  verb.add_option("--channels", f.channels,
                  "Grey images: repeat their channel, or sum-conv1: a network that takes grey ones")
      ->check(CLI::IsMember({"repeat", "sum-conv1"}))
      ->type_name("RULE");
  add_source_flags(verb, f.source, ClassNames::from_data);
}

void add_finetune(CLI::App& app, Action& action) {
  auto* verb =
      app.add_subcommand("finetune", "Train a pretrained network on your own images or sounds");
  auto f = std::make_shared<FinetuneFlags>();
  add_finetune_flags(*verb, *f);
  verb->add_option("--recipe", f->training.recipe,
                   "plain, or probe-then-tune: the head first, on frozen features, then everything "
                   "at a lower rate from there; the better of the two by validation loss is kept")
      ->check(CLI::IsMember({"plain", "probe-then-tune"}))
      ->type_name("NAME");
  verb->add_option("--probe-epochs", f->training.probe_epochs,
                   "Of --recipe probe-then-tune: passes over the features (default 60)")
      ->transform(whole_number(1, 100000))
      ->type_name("N");
  add_training_flags(*verb, f->training);
  verb->footer(
      "Example:\n  graft finetune --weights resnet18.safetensors --data photos --out run\n"
      "Writes model.safetensors (the kept epoch), last.ckpt.safetensors, metrics.jsonl and "
      "report.html into RUN.");
  verb->callback([&action, f] { action = [f] { return finetune(*f); }; });
}

void add_pretrain(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("pretrain", "The same training from random weights");
  auto f = std::make_shared<PretrainFlags>();
  verb->add_option("--arch", f->arch, "The network")
      ->required()
      ->check(CLI::IsMember(models::architecture_names()))
      ->type_name("NAME");
  add_training_flags(*verb, f->training);
  verb->footer(
      "Example:\n  graft pretrain --arch resnet18 --data photos --image-size 64 --epochs 20 --out "
      "run");
  verb->callback([&action, f] { action = [f] { return pretrain(*f); }; });
}

}  // namespace graft::tools
