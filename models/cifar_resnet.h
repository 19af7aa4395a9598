// The CIFAR ResNets (He et al. 2016, section 4.2): 20, 32, 44, 56 layers, parameterless shortcuts
// (option A), with the names of the widely used akamaster checkpoints (conv1, bn1, layer1.0.conv1
// ..., linear).
#pragma once
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/staged_network.h"

namespace graft::models {

struct CifarResNetConfig {
  int64_t depth = 20;  // 6 n + 2
  int64_t in_channels = 3;
  int64_t classes = 10;  // 0: no head, the network ends at the pooled features
  double eps = 1e-5;
};

// Stages: stem, layer1, layer2, layer3, pool, linear.
class GRAFT_API CifarResNet final : public StagedNetwork {
 public:
  explicit CifarResNet(const CifarResNetConfig& config);
  const std::vector<std::string>& stages() const override { return stages_; }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  std::vector<std::string> stage_paths(size_t stage) const override;

  const CifarResNetConfig& config() const { return config_; }
  int64_t features() const { return 64; }
  void replace_head(int64_t classes);

 private:
  CifarResNetConfig config_;
  std::vector<std::string> stages_;
  std::shared_ptr<Conv2d> conv1_;
  std::shared_ptr<BatchNorm2d> bn1_;
};

}  // namespace graft::models
