// Conv2d: weight [K,C/groups,R,S] and, when asked for, bias [K].
#pragma once
#include "graft/kernels/ops/conv.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/modules/module.h"

namespace graft {

struct Conv2dOptions {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
  int64_t groups = 1;
  bool bias = false;
};

class GRAFT_API Conv2d final : public Module {
 public:
  // With the default values of default_values.h; models/initialization.h or a file gives others.
  explicit Conv2d(const Conv2dOptions& options);
  Tensor forward(const Tensor& x) override;  // [N,C,H,W] -> [N,K,P,Q]

  // Also the result's statistics, where the kernel takes them along (functional::conv).
  Tensor forward_with_statistics(const Tensor& x, functional::BatchStatistics& statistics);

  const Conv2dOptions& options() const { return options_; }
  // The same weight at another stride and dilation; the padding grows with the dilation.
  void set_steps(int64_t stride, int64_t dilation);
  const Tensor& weight() const { return *weight_; }
  const Tensor& bias() const { return *bias_; }  // undefined without bias

 private:
  Conv2dOptions options_;
  ops::ConvAttributes attributes_;
  Tensor none_;
  const Tensor* weight_;
  const Tensor* bias_;
};

}  // namespace graft
