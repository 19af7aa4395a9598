// Conv1d and Conv3d: weight [K,C/groups,kernel...] and, when asked for, bias [K]. Conv2d, which
// norms fuse with, stands in conv2d.h.
#pragma once
#include "graft/layers/modules/conv2d.h"

namespace graft {

class GRAFT_API ConvNd : public Module {
 public:
  Tensor forward(const Tensor& x) override;  // [N,C,spatial...] -> [N,K,spatial...]
  const Conv2dOptions& options() const { return options_; }
  const Tensor& weight() const { return *weight_; }
  const Tensor& bias() const { return *bias_; }  // undefined without bias

 protected:
  ConvNd(const char* name, int axes, const Conv2dOptions& options);

 private:
  const char* name_;
  Conv2dOptions options_;
  ops::ConvAttributes attributes_;
  Tensor none_;
  const Tensor* weight_;
  const Tensor* bias_;
};

// One number for every axis, as in Conv2d.
using Conv1dOptions = Conv2dOptions;
using Conv3dOptions = Conv2dOptions;

// Both with the default values of default_values.h.
class GRAFT_API Conv1d final : public ConvNd {
 public:
  explicit Conv1d(const Conv1dOptions& options) : ConvNd("Conv1d", 1, options) {}  // [N,C,L]
};
class GRAFT_API Conv3d final : public ConvNd {
 public:
  explicit Conv3d(const Conv3dOptions& options) : ConvNd("Conv3d", 3, options) {}  // [N,C,D,H,W]
};

}  // namespace graft
