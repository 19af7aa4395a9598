// The ResNet family (He et al. 2016) with torchvision's names, and timm's for what torchvision does
// not have: ResNeXt, Wide ResNet, ResNet-C, -D and -T, SE and ECA.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/staged_network.h"

namespace graft::models {

// In each block, before its sum.
enum class ChannelAttention : unsigned char { none, squeeze, eca };

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
  int64_t groups = 1;       // bottleneck: of the 3x3 (ResNeXt)
  int64_t base_width = 64;  // bottleneck: channels of a group of the 3x3 in layer1 (Wide ResNet)
  // Widths of the stem's 3x3 convolutions, the first with stride 2 (ResNet-C); empty: one 7x7.
  std::vector<int64_t> stem{};
  bool small_stem = false;    // one 3x3 of stride 1 and no pool, for small images
  bool average_down = false;  // shortcuts average where they stride (ResNet-D)
  ChannelAttention attention = ChannelAttention::none;
  int64_t in_channels = 3;
  int64_t stages = 4;      // cut after this many of layer1 .. layer4
  int64_t classes = 1000;  // 0: no head, the network ends at the pooled features
};

// resnet18, resnext50_32x4d, resnet50d ... one row of the family's table each.
GRAFT_API std::vector<std::string> resnet_names();
// The config of a name. bad_input for others.
GRAFT_API ResNetConfig resnet_config(std::string_view name);
// The same blocks and stem, whatever the depths, widths of input and head, and where it is cut.
GRAFT_API bool is_same_kind(const ResNetConfig& a, const ResNetConfig& b);
// ", 32 groups of 4 channels, ...": what sets it apart from a plain ResNet; "" for one.
GRAFT_API std::string variant_text(const ResNetConfig& config);
// The path of the batch norm behind the convolution at `conv`; "" when there is none.
GRAFT_API std::string resnet_norm_behind(const ResNetConfig& config, const std::string& conv);

// Stages: stem, layer1 .. layerN, pool, fc.
class GRAFT_API ResNet final : public StagedNetwork {
 public:
  explicit ResNet(const ResNetConfig& config);
  const std::vector<std::string>& stages() const override { return stages_; }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  std::vector<std::string> stage_paths(size_t stage) const override;
  // Of a stem with a pool: the map before it, then the result.
  std::vector<Tensor> stage_values(const Tensor& x, size_t stage) override;

  const ResNetConfig& config() const { return config_; }
  int64_t features() const;  // channels of the last stage: what the head takes
  // A head for `classes` classes with default values.
  void replace_head(int64_t classes);

 private:
  void build_stem();
  Tensor run_stem(const Tensor& x);  // without its pool
  Tensor run_stage(const std::string& stage, const Tensor& x);

  ResNetConfig config_;
  std::vector<std::string> stages_;
  std::vector<std::pair<std::shared_ptr<Conv2d>, std::shared_ptr<BatchNorm2d>>> stem_;
};

}  // namespace graft::models
