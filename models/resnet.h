// ResNet-18/34/50/101/152 (He et al. 2016) with torchvision's names, and the variants that files in
// the wild have.
#pragma once
#include <array>
#include <memory>

#include "graft/layers/modules/staged_network.h"

namespace graft::models {

struct GRAFT_API ResNetConfig {
  std::string name = "resnet50";              // as in resnet_config()
  std::array<int64_t, 4> depths{3, 4, 6, 3};  // blocks a stage
  bool bottleneck = true;
  bool stride_in_3x3 =
      true;  // bottleneck: v1.5 (torchvision) strides in the 3x3, v1 (MSRA, Caffe) in the first 1x1
  double eps = 1e-5;  // of every batch norm
  // Stem pool: 3x3, stride 2, padded (begin, end) on both axes: (1,1) torchvision; (0,1) Caffe's
  // ceil mode at even sizes.
  int64_t pool_pad_begin = 1, pool_pad_end = 1;
  int64_t in_channels = 3;
  int64_t stages = 4;      // cut after this many of layer1 .. layer4
  int64_t classes = 1000;  // 0: no head, the network ends at the pooled features
};

// The config of a name: resnet18, resnet34, resnet50, resnet101, resnet152. bad_input for others.
GRAFT_API ResNetConfig resnet_config(std::string_view name);

// Stages: stem, layer1 .. layerN, pool, fc.
class GRAFT_API ResNet final : public StagedNetwork {
 public:
  explicit ResNet(const ResNetConfig& config);
  const std::vector<std::string>& stages() const override { return stages_; }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  std::vector<std::string> stage_paths(size_t stage) const override;

  const ResNetConfig& config() const { return config_; }
  int64_t features() const;  // channels of the last stage: what the head takes
  // A head for `classes` classes with default values.
  void replace_head(int64_t classes);

 private:
  Tensor run_stage(const std::string& stage, const Tensor& x);

  ResNetConfig config_;
  std::vector<std::string> stages_;
};

}  // namespace graft::models
