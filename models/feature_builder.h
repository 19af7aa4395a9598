// FeatureBuilder: what the builders of torchvision's feature networks (vgg.cpp, squeezenet.cpp ...)
// write with.
#pragma once
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graft/layers/functional/elementwise.h"
#include "graft/layers/modules/sequential.h"
#include "graft/models/feature_network.h"

namespace graft::models {

// Holds others under given names; what runs them is a stage.
class ModuleGroup final : public Module {
 public:
  ModuleGroup() { mark_run_by_parts(); }
  template <class M>
  std::shared_ptr<M> add(std::string name, std::shared_ptr<M> child) {
    return register_module(std::move(name), std::move(child));
  }
  void replace(std::string_view name, std::shared_ptr<Module> child) {
    replace_child(name, std::move(child));
  }
  Tensor forward(const Tensor& x) override;  // the children in turn
};

class FeatureBuilder {
 public:
  explicit FeatureBuilder(FeatureNetwork& network);

  const FeatureConfig& config() const { return network_.config_; }
  // A module at features.<name>.
  template <class M>
  std::shared_ptr<M> feature(const std::string& name, std::shared_ptr<M> module) {
    return features_->add(name, std::move(module));
  }
  // A stage named after its last module, features.<names.back()>, giving `channels` channels. False
  // when the network is cut here: then nothing more is built. `map`, if any, runs first: a map of
  // its own, which `run` pools.
  bool stage(std::initializer_list<std::string> names, int64_t channels,
             std::function<Tensor(const Tensor&)> run,
             std::function<Tensor(const Tensor&)> map = {});
  // Ends a network that was not cut: global average pool and flatten, then the linear classifier at
  // `head` ("classifier" or "classifier.1"), with dropout before it when the probability is
  // positive.
  void finish_linear(const std::string& head, double dropout);
  // MobileNetV3's: pooled, a hidden layer with dropout, classifier.3.
  void finish_hidden(int64_t hidden, ops::Unary activation, double dropout);
  // VGG's: adaptive pool to 7x7, two hidden layers of 4096 with dropout, classifier.6.
  void finish_vgg();
  // SqueezeNet's: classifier.1 is a 1x1 convolution, then ReLU and global average pool.
  void finish_squeezenet();

 private:
  std::shared_ptr<ModuleGroup> classifier();
  void pool_and_linear_head();

  FeatureNetwork& network_;
  std::shared_ptr<ModuleGroup> features_;
};

// MobileNetV2 as Keras and TensorFlow have it: 3x3 convolutions that stride are padded (0,1) at
// even extents, (1,1) at odd.
inline constexpr const char* kMobileNetTf = "mobilenet_v2_tf";

}  // namespace graft::models
