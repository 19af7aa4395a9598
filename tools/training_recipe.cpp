// The recipe that a training verb's flags ask for.
#include <algorithm>
#include <string>

#include "graft/tools/training.h"

namespace graft::tools {

train::Recipe make_recipe(const TrainingFlags& flags, const std::string& freeze,
                          const std::string& batch_norm) {
  train::Recipe recipe = train::default_recipe(freeze);
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
    recipe.lr = freeze == "backbone" ? (*flags.optimizer == "sgd" ? 0.1 : 0.01)
                                     : (*flags.optimizer == "sgd" ? 0.01 : 0.001);
  }
  if (flags.lr) recipe.lr = *flags.lr;
  if (flags.momentum) recipe.optimizer.momentum = *flags.momentum;
  if (flags.weight_decay) recipe.optimizer.weight_decay = *flags.weight_decay;
  if (flags.weight_decay || recipe.optimizer.name == "adamw") recipe.head_prior = false;
  if (flags.schedule) recipe.schedule = *flags.schedule;
  if (flags.warmup) recipe.warmup_epochs = *flags.warmup;
  if (recipe.schedule == "onecycle" && !flags.warmup) recipe.warmup_epochs = 0;
  recipe.warmup_epochs = std::min(recipe.warmup_epochs, recipe.epochs - 1);
  if (flags.augment != "auto") recipe.augment = flags.augment;
  if (flags.cache_features == "off") recipe.cache_features = false;
  if (flags.views) recipe.views = *flags.views;
  return recipe;
}

}  // namespace graft::tools
