// Recipe: every number that decides what a training run computes. Two runs of one recipe on one
// machine are the same.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/train/optimizer.h"
#include "graft/train/step_plan.h"

namespace graft::train {

struct GRAFT_API Recipe {
  std::string task = "classify";  // tasks/table.h
  int64_t epochs = 60;
  int64_t batch = 32;
  OptimizerOptions optimizer{};
  double lr = 0.01;
  std::string schedule = "cosine";  // schedule.h
  int64_t warmup_epochs = 0;
  std::string freeze =
      "none";  // none, backbone (all but the head), or stages/modules: "stem,layer1", "..layer2"
  std::string batch_norm = "auto";  // auto, source, adapt, train: see freezing.h
  std::string augment = "none";     // io/augment.h
  double erase = 0;                 // the probability that a rectangle of an image is erased
  double label_smoothing = 0;
  double layer_decay = 1;   // parameter_scales.h: 1: every stage learns at one rate
  bool decay_norms = true;  // false: biases and the weights of norms have no weight decay
  double ema = 0;           // > 0: judged and kept are averages of the weights, of this decay
                            // (weight_average.h)
  double sam = 0;    // > 0: each step by the gradient at the worst place so far away (sharpness.h)
  double l2_sp = 0;  // > 0: weights are drawn towards their source's (parameter_scales.h), and the
                     // weight decay is the head's alone
  double mixup = 0, cutmix = 0;  // > 0: mixing.h; both: one of them for each batch, by chance
  bool standardize =
      false;  // a linear head on frozen features learns on standardised ones (folded when saved)
  bool head_prior =
      false;  // that head's weight decay is head_weight_decay() of its features and the images
  bool cache_features = true;      // features of a frozen prefix are computed once
  std::string precision = "fp32";  // fp32, bf16, on CUDA fp16: of activations and their gradients;
                                   // everything else is fp32
  double loss_scale = 0;           // fp16: loss_scale.h; 0: dynamic
  int64_t views =
      0;  // with augmentation, 0: images change anew every epoch; K: epoch e shows fixed view (e -
          // 1) % K of each, the first of which is the image as it is: then features can be cached
  std::string balance = "none";  // none; weights: losses weighed by class (balance.h); sampling:
                                 // small classes repeated
  std::string loss{};     // of task classify: ce, focal; "": ce. Of task regress: mse, l1, huber;
                          // "": mse. Of task segment: ce, dice, ce+dice, focal; "": ce+dice
  std::string decoder{};  // of task segment: its head, by name; "": unet
  int64_t patience = 0;   // stop after this many epochs in a row without a better one; 0: never
  std::string resize{};   // what the user asked of Preprocess::set_fit; "": the network's own
  // > 0: the head is trained first, for so many epochs on frozen features, then `epochs` of
  // everything that `freeze` leaves; the better of the two networks is kept (probe.h).
  int64_t probe_epochs = 0;
  double probe_lr = 0.01;
  StepPlan step{};  // micro-batches and recomputation: what --ram planned
  uint64_t seed = 0;

  int64_t all_epochs() const { return probe_epochs + epochs; }
  DType activations() const {
    return precision == "bf16" ? DType::bf16 : precision == "fp16" ? DType::f16 : DType::f32;
  }
  void validate() const;  // bad_input naming the field
  std::string to_json()
      const;  // keys sorted; fp32 goes without saying, as before there was a choice
  bool operator==(const Recipe&) const;
};

// Of all tasks that have a choice.
GRAFT_API std::vector<std::string> loss_names();

// What a normal prior of variance 10 / features on every weight of a linear head adds to the
// gradient of the mean loss over `images`: features / (10 images). Standardised features then give
// logits of variance 10 before any image is seen. (MAP estimation, e.g. Bishop, Pattern Recognition
// and Machine Learning, 4.3.2 and 4.5.1.)
GRAFT_API double head_weight_decay(int64_t features, int64_t images);

// The defaults. Frozen backbone: 60 epochs of a linear head on cached, standardised features with
// Adam 1e-2, cosine, the head's prior as weight decay; no augmentation. Else: 10 epochs of SGD 0.01
// with momentum and weight decay 1e-4, one epoch of warm-up, cosine, light augmentation.
GRAFT_API Recipe default_recipe(const std::string& freeze);
// The same for probe_epochs > 0: after 60 epochs of the head 10 of Adam at 3e-4, a rate that does
// not undo what the head was trained on (Kumar et al., "Fine-Tuning can Distort Pretrained Features
// and Underperform Out-of-Distribution", ICLR 2022).
GRAFT_API Recipe default_probing_recipe(const std::string& freeze);

}  // namespace graft::train
