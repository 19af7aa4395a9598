// The recipe that a training verb's flags ask for.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>

#include "graft/core/base/error.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/training.h"

namespace graft::tools {

namespace {

// Both scale what has weight decay, so that there is some. Eps of lamb is timm's.
void suit_trust_ratios(train::Recipe& recipe, const std::string& freeze, bool probes) {
  const std::string& name = recipe.optimizer.name;
  if (name != "lars" && name != "lamb") return;
  recipe.optimizer.weight_decay = 1e-4;
  recipe.head_prior = false;
  if (name == "lamb") recipe.optimizer.eps = 1e-6;
  if (name == "lars") recipe.lr = freeze == "backbone" ? 1 : probes ? 0.01 : 0.1;
}

}  // namespace

train::Recipe make_recipe(const TrainingFlags& flags, const std::string& freeze,
                          const std::string& batch_norm) {
  const bool probes = flags.recipe == "probe-then-tune";
  GRAFT_CHECK(probes || !flags.probe_epochs, "--probe-epochs is for --recipe probe-then-tune");
  train::Recipe recipe =
      probes ? train::default_probing_recipe(freeze) : train::default_recipe(freeze);
  if (flags.probe_epochs) recipe.probe_epochs = *flags.probe_epochs;
  recipe.freeze = freeze;
  recipe.batch_norm = batch_norm;
  recipe.seed = flags.seed;
  recipe.precision = flags.precision;
  recipe.patience = flags.patience;
  recipe.balance = flags.balance;
  recipe.resize = flags.resize;
  if (flags.loss_scale != "dynamic") recipe.loss_scale = std::stod(flags.loss_scale);
  if (flags.epochs) recipe.epochs = *flags.epochs;
  if (flags.batch) recipe.batch = *flags.batch;
  if (flags.optimizer && *flags.optimizer != recipe.optimizer.name) {
    recipe.optimizer.name = *flags.optimizer;
    const bool is_sgd = *flags.optimizer == "sgd";
    recipe.lr = freeze == "backbone" ? (is_sgd ? 0.1 : 0.01)
                : probes             ? (is_sgd ? 0.001 : 3e-4)
                                     : (is_sgd ? 0.01 : 0.001);
    if (*flags.optimizer == "rmsprop") {
      recipe.lr /= 10;
      recipe.optimizer.beta2 = 0.99;
    }
    suit_trust_ratios(recipe, freeze, probes);
  }
  if (flags.lr) recipe.lr = *flags.lr;
  if (flags.momentum) recipe.optimizer.momentum = *flags.momentum;
  if (flags.weight_decay) recipe.optimizer.weight_decay = *flags.weight_decay;
  if (flags.weight_decay || recipe.optimizer.name == "adamw") recipe.head_prior = false;
  recipe.layer_decay = flags.layer_decay;
  recipe.decay_norms = flags.decay_norms == "on";
  recipe.optimizer.clip_norm = flags.clip_norm;
  recipe.ema = flags.ema;
  recipe.sam = flags.sam;
  recipe.l2_sp = flags.l2_sp;
  recipe.erase = flags.erase;
  recipe.mixup = flags.mixup;
  recipe.cutmix = flags.cutmix;
  if (flags.schedule) recipe.schedule = *flags.schedule;
  if (flags.warmup) recipe.warmup_epochs = *flags.warmup;
  if (recipe.schedule == "onecycle" && !flags.warmup) recipe.warmup_epochs = 0;
  recipe.warmup_epochs = std::min(recipe.warmup_epochs, recipe.epochs - 1);
  if (flags.augment != "auto") recipe.augment = flags.augment;
  if (flags.cache_features == "off") recipe.cache_features = false;
  if (flags.views) recipe.views = *flags.views;
  return recipe;
}

void add_recipe_flags(CLI::App& verb, TrainingFlags& f) {
  verb.add_option("--layer-decay", f.layer_decay,
                  "A stage learns at the rate times F to the power of its distance from the head "
                  "(default 1: all at one rate)")
      ->transform(real_number_above(0, 1))
      ->type_name("F");
  verb.add_option("--decay-norms", f.decay_norms,
                  "off: biases and the weights of norms have no weight decay (default on)")
      ->check(CLI::IsMember({"on", "off"}))
      ->type_name("NAME");
  verb.add_option("--clip-norm", f.clip_norm,
                  "Gradients are scaled down so that the norm of all of them together is at most F "
                  "(0: as they are)")
      ->transform(real_number(0, 1e6))
      ->type_name("F");
  verb.add_option("--ema", f.ema,
                  "Judged and kept are moving averages of the weights, of this decay: 0.99 (0: the "
                  "weights themselves)")
      ->transform(real_number(0, 0.999999))
      ->type_name("F");
  verb.add_option("--erase", f.erase,
                  "Probability that a rectangle of a training image becomes the mean colour, 0.25 "
                  "(0: never)")
      ->transform(real_number(0, 1))
      ->type_name("P");
  verb.add_option(
          "--sam", f.sam,
          "Sharpness-aware steps: by the gradient at the worst place F away, 0.05; twice the "
          "work (0: plain steps)")
      ->transform(real_number(0, 100))
      ->type_name("F");
  verb.add_option("--l2-sp", f.l2_sp,
                  "Weights but the head's are drawn towards their source values with strength F, "
                  "0.01; --weight-decay is then the head's alone (0: not)")
      ->transform(real_number(0, 1e6))
      ->type_name("F");
  verb.add_option("--mixup", f.mixup,
                  "Images and targets are mixed in pairs, by shares of Beta(F, F): 0.2 (0: not)")
      ->transform(real_number(0, 100))
      ->type_name("F");
  verb.add_option("--cutmix", f.cutmix,
                  "A rectangle of each image is another's, by shares of Beta(F, F): 1 (0: not); "
                  "with --mixup one of the two for each batch")
      ->transform(real_number(0, 100))
      ->type_name("F");
}

}  // namespace graft::tools
