#include "graft/train/recipe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/io/augment.h"
#include "graft/train/loss_scale.h"
#include "graft/train/schedule.h"

namespace graft::train {

std::vector<std::string> loss_names() {
  return {"mse", "l1", "huber", "ce", "dice", "ce+dice", "focal"};
}

void Recipe::validate() const {
  GRAFT_CHECK(epochs >= 1 && epochs <= 1000000, "epochs: ", epochs,
              " is not between 1 and 1000000");
  GRAFT_CHECK(batch >= 1 && batch <= 65536, "batch: ", batch, " is not between 1 and 65536");
  GRAFT_CHECK(lr > 0, "lr: ", lr, " is not positive");
  GRAFT_CHECK(warmup_epochs >= 0 && warmup_epochs <= epochs, "warmup: ", warmup_epochs, " of ",
              epochs, " epochs");
  GRAFT_CHECK(label_smoothing >= 0 && label_smoothing < 1, "label smoothing: ", label_smoothing,
              " is not in [0, 1)");
  GRAFT_CHECK(layer_decay > 0 && layer_decay <= 1, "layer decay: ", layer_decay,
              " is not above 0 and up to 1");
  GRAFT_CHECK(ema >= 0 && ema < 1, "ema: ", ema, " is not in [0, 1)");
  GRAFT_CHECK(erase >= 0 && erase <= 1, "erase: ", erase, " is not a probability");
  GRAFT_CHECK(sam >= 0 && sam <= 100, "sam: ", sam, " is not between 0 and 100");
  GRAFT_CHECK(l2_sp >= 0 && std::isfinite(l2_sp), "l2-sp: ", l2_sp, " is not a number from 0 on");
  GRAFT_CHECK(l2_sp == 0 || freeze != "backbone",
              "l2-sp draws weights towards the source's, and with the backbone frozen none learns");
  GRAFT_CHECK(l2_sp == 0 || precision != "fp16", "l2-sp is not for precision fp16");
  GRAFT_CHECK(mixup >= 0 && mixup <= 100 && cutmix >= 0 && cutmix <= 100, "mixup ", mixup,
              ", cutmix ", cutmix, ": not between 0 and 100");
  constexpr std::array<std::string_view, 4> policies = {"auto", "source", "adapt", "train"};
  GRAFT_CHECK(std::find(policies.begin(), policies.end(), batch_norm) != policies.end(), "bn: '",
              batch_norm, "' is none of auto, source, adapt, train");
  GRAFT_CHECK(precision == "fp32" || precision == "bf16" || precision == "fp16", "precision: '",
              precision, "' is none of fp32, bf16, fp16");
  GRAFT_CHECK(loss_scale == 0 || (loss_scale >= 1 && loss_scale <= LossScale::kMost),
              "loss scale: ", loss_scale, " is not between 1 and 2^24");
  GRAFT_CHECK(loss_scale == 0 || precision == "fp16", "loss scale: is for precision fp16, this is ",
              precision);
  GRAFT_CHECK(views >= 0 && views <= 1000, "views: ", views, " is not between 0 and 1000");
  GRAFT_CHECK(balance == "none" || balance == "weights" || balance == "sampling", "balance: '",
              balance, "' is none of none, weights, sampling");
  const std::vector<std::string> losses = loss_names();
  GRAFT_CHECK(loss.empty() || std::find(losses.begin(), losses.end(), loss) != losses.end(),
              "loss: '", loss, "' is none of ", join(losses));
  GRAFT_CHECK(patience >= 0, "patience: ", patience, " is negative");
  GRAFT_CHECK(!head_prior || (optimizer.weight_decay == 0 && optimizer.name != "adamw" &&
                              optimizer.name != "lars" && optimizer.name != "lamb"),
              "head_prior: is for adam and sgd without another weight decay");
  GRAFT_CHECK(!freeze.empty(), "freeze: expected none, backbone or stages");
  GRAFT_CHECK(probe_epochs >= 0 && probe_epochs <= 1000000 - epochs, "probe epochs: ", probe_epochs,
              " and ", epochs, " epochs more are not between 1 and 1000000");
  GRAFT_CHECK(probe_epochs == 0 || freeze != "backbone",
              "probe-then-tune: with the backbone frozen nothing is left to tune after the probe");
  GRAFT_CHECK(probe_lr > 0 && std::isfinite(probe_lr), "probe rate: ", probe_lr,
              " is not positive");
  io::augment_named(augment);
  make_optimizer({}, optimizer);
  learning_rate({schedule, lr, epochs, 0}, 0);
}

std::string Recipe::to_json() const {
  nlohmann::json j = {{"augment", augment},
                      {"batch", batch},
                      {"batch_norm", batch_norm},
                      {"beta1", optimizer.beta1},
                      {"beta2", optimizer.beta2},
                      {"cache_features", cache_features},
                      {"epochs", epochs},
                      {"eps", optimizer.eps},
                      {"freeze", freeze},
                      {"label_smoothing", label_smoothing},
                      {"lr", lr},
                      {"momentum", optimizer.momentum},
                      {"nesterov", optimizer.nesterov},
                      {"optimizer", optimizer.name},
                      {"schedule", schedule},
                      {"seed", seed},
                      {"standardize", standardize},
                      {"warmup_epochs", warmup_epochs},
                      {"weight_decay", optimizer.weight_decay}};
  if (head_prior) j["weight_decay"] = "features / (10 * images)";
  if (precision != "fp32") j["precision"] = precision;
  if (loss_scale != 0) j["loss_scale"] = loss_scale;
  if ((augment != "none" || erase > 0) && views > 0) j["views"] = views;
  if (erase > 0) j["erase"] = erase;
  if (balance != "none") j["balance"] = balance;
  if (task != "classify") j["task"] = task;  // as before there was a choice
  if (!loss.empty()) j["loss"] = loss;
  if (!decoder.empty()) j["decoder"] = decoder;
  if (patience > 0) j["patience"] = patience;
  if (!resize.empty()) j["resize"] = resize;
  if (layer_decay != 1) j["layer_decay"] = layer_decay;
  if (ema > 0) j["ema"] = ema;
  if (sam > 0) j["sam"] = sam;
  if (l2_sp > 0) j["l2_sp"] = l2_sp;
  if (mixup > 0) j["mixup"] = mixup;
  if (cutmix > 0) j["cutmix"] = cutmix;
  if (!decay_norms) j["decay_norms"] = false;
  if (optimizer.clip_norm > 0) j["clip_norm"] = optimizer.clip_norm;
  if (probe_epochs > 0) {
    j["probe_epochs"] = probe_epochs;
    j["probe_lr"] = probe_lr;
  }
  if (step.micro_batch > 0) j["micro_batch"] = step.micro_batch;
  if (step.recompute) j["recompute"] = true;
  return j.dump();
}

double head_weight_decay(int64_t features, int64_t images) {
  return static_cast<double>(features) / (10.0 * static_cast<double>(std::max<int64_t>(images, 1)));
}

bool Recipe::operator==(const Recipe& other) const { return to_json() == other.to_json(); }

Recipe default_recipe(const std::string& freeze) {
  Recipe recipe;
  recipe.freeze = freeze;
  if (freeze == "backbone") {
    recipe.optimizer.name = "adam";
    recipe.lr = 0.01;
    recipe.standardize = recipe.head_prior = true;
    recipe.views = 4;
    return recipe;
  }
  recipe.epochs = 10;
  recipe.optimizer.weight_decay = 1e-4;
  recipe.warmup_epochs = 1;
  recipe.augment = "light";
  return recipe;
}

Recipe default_probing_recipe(const std::string& freeze) {
  Recipe recipe = default_recipe(freeze);
  recipe.probe_epochs = default_recipe("backbone").epochs;
  recipe.optimizer.name = "adam";
  recipe.lr = 3e-4;
  return recipe;
}

}  // namespace graft::train
