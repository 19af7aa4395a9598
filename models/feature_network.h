// torchvision's networks of `features` and a classifier: VGG, SqueezeNet, MobileNetV2 and V3,
// DenseNet, EfficientNet. A name fixes the layers.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/tensor/state_dict.h"
#include "graft/layers/modules/staged_network.h"

namespace graft::models {

struct GRAFT_API FeatureConfig {
  std::string name = "vgg16";  // one of feature_network_names()
  int64_t in_channels = 3;
  int64_t classes = 1000;  // 0: no head, the network ends at what the head would take
  std::string cut{};  // the last stage of the features that is kept ("features.4"); "": all of them
  // The head is a linear layer "fc" on the globally pooled features: always so when cut; otherwise
  // the classifier of the original, whose last layer is the head.
  bool linear_head = false;
  double eps = 1e-5;  // of every batch norm
};

// vgg11, squeezenet1_0, efficientnet_b0 ...: those of each family's row.
GRAFT_API std::vector<std::string> feature_network_names();
// The config of a name, with its batch norms' eps. bad_input for others.
GRAFT_API FeatureConfig feature_config(const std::string& name);

// Stages: those of the features under their modules' names, pool, the classifier's layers; the head
// last.
class GRAFT_API FeatureNetwork final : public StagedNetwork {
 public:
  // bad_input for an unknown name or cut, listing what there is.
  explicit FeatureNetwork(const FeatureConfig& config);
  const std::vector<std::string>& stages() const override { return names_; }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  std::vector<std::string> stage_paths(size_t stage) const override;
  std::vector<Tensor> stage_values(const Tensor& x, size_t stage) override;

  const FeatureConfig& config() const { return config_; }
  int64_t features() const { return features_; }  // what the head takes
  // A head for `classes` classes with default values. SqueezeNet's own
  // head, a convolution behind which a ReLU clips the logits, becomes a linear one on pooled
  // features.
  void replace_head(int64_t classes);

 private:
  friend class FeatureBuilder;
  struct Stage {
    std::vector<std::string> paths{};
    std::function<Tensor(const Tensor&)> run;
    std::function<Tensor(const Tensor&)> map{};  // if any: a map on the way, which `run` pools
  };
  void add_stage(std::string name, Stage stage);
  void add_head(const std::string& path);
  static Stage pool_stage();  // [N,C,H,W] -> [N,C], the mean of each plane

  FeatureConfig config_;
  std::vector<std::string> names_;
  std::vector<Stage> stages_;
  int64_t features_ = 0;
};

// The path of the head's layer: "classifier.6", "classifier", "fc" ...
GRAFT_API std::string feature_head_path(const FeatureConfig& config);

// The network whose names a state dict has; an empty name when it is none of them. Classes from the
// classifier; 0 and linear_head when the file has none. bad_input for names that begin like one and
// end as no known one.
GRAFT_API FeatureConfig feature_config_of(const StateDict& tensors);
// The path of the batch norm that normalises the output of the convolution at `conv`; "" when there
// is none.
GRAFT_API std::string feature_norm_behind(const FeatureConfig& config, const std::string& conv);

}  // namespace graft::models
