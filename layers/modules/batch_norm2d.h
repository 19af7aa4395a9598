// BatchNorm2d: weight, bias, running_mean, running_var [C] and num_batches_tracked, as in PyTorch.
#pragma once
#include <array>
#include <memory>
#include <string>

#include "graft/core/base/one_at_a_time.h"
#include "graft/layers/modules/conv2d.h"

namespace graft {

struct BatchNorm2dOptions {
  int64_t channels = 0;
  double eps = 1e-5;
  double momentum = 0.1;
  // Names of its tensors; an empty name for the count leaves it out.
  std::array<std::string, 5> names{"weight", "bias", "running_mean", "running_var",
                                   "num_batches_tracked"};
};

class GRAFT_API BatchNorm2d final : public Module {
 public:
  explicit BatchNorm2d(const BatchNorm2dOptions& options);
  Tensor forward(const Tensor& x) override { return normalise_plainly(x, false, {}, {}); }
  // y = bn(x) + residual (when defined), then ReLU (when asked for), in one pass.
  Tensor normalise(const Tensor& x, bool relu, const Tensor& residual = {}) {
    return normalise(x, relu, residual, {});
  }
  // With x's statistics where they are known; else (undefined) they are taken here.
  Tensor normalise(const Tensor& x, bool relu, const Tensor& residual,
                   const functional::BatchStatistics& statistics);
  bool normalises_by_batch() const { return training() && !fixed_statistics_; }
  // The same of conv(x); while it trains, the batch's statistics come out of the convolution where
  // its kernel can give them.
  Tensor normalise(Conv2d& conv, const Tensor& x, bool relu, const Tensor& residual = {});

  const BatchNorm2dOptions& options() const { return options_; }
  const Tensor& weight() const { return *weight_; }
  const Tensor& bias() const { return *bias_; }
  const Tensor& running_mean() const { return *running_mean_; }
  const Tensor& running_var() const { return *running_var_; }
  // Overwrites the statistics (shape [C]): for re-estimation on the user's data.
  void set_statistics(const Tensor& mean, const Tensor& variance);
  // It stands for a normalisation that was folded into its convolution (mean 0, variance 1 - eps),
  // so that a batch's statistics would make another function of it: as long as nobody gave it
  // statistics of its own, training by those of a batch is an Error.
  void mark_neutral() { is_neutral_ = true; }
  // Keeps running statistics fixed although the module trains: weight and bias learn, the
  // statistics are the source's.
  void fix_statistics(bool fixed) { fixed_statistics_ = fixed; }
  void set_momentum(double momentum) { options_.momentum = momentum; }

  // Watches the inputs of eval passes: their mean and variance over all of them, in double.
  void watch_inputs() { watched_ = std::make_unique<Watched>(); }
  // Ends watching without a change.
  void stop_watching() { watched_ = nullptr; }
  // Ends watching. The statistics become those of the watched inputs, and weight and bias change
  // with them, so that the function of eval stays the same:  weight' = weight sqrt((var' + eps) /
  // (var + eps)), bias' = bias + (mean' - mean) weight / sqrt(var + eps).  bad_input when nothing
  // was watched.
  void adopt_watched_statistics();

 private:
  Tensor normalise_plainly(const Tensor& x, bool relu, const Tensor& residual,
                           const functional::BatchStatistics& statistics);
  void check_not_neutral();
  struct Watched {
    double count = 0;
    std::vector<double> mean{}, squares{};  // of deviations from the mean (Chan et al. 1979)
  };
  void watch(const Tensor& x);

  BatchNorm2dOptions options_;
  Tensor* weight_;
  Tensor* bias_;
  Tensor* running_mean_;
  Tensor* running_var_;
  Tensor* batches_ = nullptr;  // null: not counted
  bool fixed_statistics_ = false;
  bool is_neutral_ = false;
  std::unique_ptr<Watched> watched_;
  OneAtATime trained_;
};

}  // namespace graft
