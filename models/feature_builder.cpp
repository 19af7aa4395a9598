#include "graft/models/feature_builder.h"

#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/dropout.h"
#include "graft/layers/modules/linear.h"

namespace graft::models {
namespace {

Tensor pooled(const Tensor& x) { return functional::flatten(functional::global_average_pool(x)); }

}  // namespace

FeatureNetwork::Stage FeatureNetwork::pool_stage() { return {{}, pooled}; }

Tensor ModuleGroup::forward(const Tensor& x) {
  Tensor y = x;
  for (const auto& [name, child] : children()) y = (*child)(y);
  return y;
}

FeatureBuilder::FeatureBuilder(FeatureNetwork& network)
    : network_(network),
      features_(network.register_module("features", std::make_shared<ModuleGroup>())) {}

bool FeatureBuilder::stage(std::initializer_list<std::string> names, int64_t channels,
                           std::function<Tensor(const Tensor&)> run,
                           std::function<Tensor(const Tensor&)> map) {
  FeatureNetwork::Stage stage{{}, std::move(run), std::move(map)};
  for (const std::string& name : names)
    if (features_->find(name)) stage.paths.push_back("features." + name);
  const std::string name = "features." + *(names.end() - 1);
  network_.add_stage(name, std::move(stage));
  network_.features_ = channels;
  if (name != config().cut) return true;
  pool_and_linear_head();
  return false;
}

void FeatureBuilder::pool_and_linear_head() {
  network_.config_.linear_head = true;
  network_.add_stage("pool", FeatureNetwork::pool_stage());
  if (config().classes > 0) network_.add_head("fc");
}

std::shared_ptr<ModuleGroup> FeatureBuilder::classifier() {
  return network_.register_module("classifier", std::make_shared<ModuleGroup>());
}

void FeatureBuilder::finish_linear(const std::string& head, double probability) {
  if (config().linear_head) return pool_and_linear_head();
  if (head == "classifier") {
    network_.add_stage("pool", FeatureNetwork::pool_stage());
  } else {
    const auto dropout = classifier()->add("0", std::make_shared<Dropout>(probability));
    network_.add_stage(
        "pool", {{"classifier.0"}, [dropout](const Tensor& x) { return (*dropout)(pooled(x)); }});
  }
  if (config().classes > 0) network_.add_head(head);
}

void FeatureBuilder::finish_vgg() {
  if (config().linear_head) return pool_and_linear_head();
  constexpr int64_t hidden = 4096;
  network_.add_stage(
      "pool", {{}, [](const Tensor& x) {
                 return functional::flatten(functional::adaptive_average_pool(x, {{7, 7, 1}}));
               }});
  const auto group = classifier();
  int64_t in = network_.features_ * 49;
  for (const int at : {0, 3}) {
    const std::string name = std::to_string(at), dropout_name = std::to_string(at + 2);
    const auto linear = group->add(name, std::make_shared<Linear>(in, hidden));
    const auto dropout = group->add(dropout_name, std::make_shared<Dropout>(0.5));
    network_.add_stage("classifier." + name,
                       {{"classifier." + name, "classifier." + dropout_name}, [=](const Tensor& x) {
                          return (*dropout)(functional::relu((*linear)(x)));
                        }});
    in = hidden;
  }
  network_.features_ = hidden;
  if (config().classes > 0) network_.add_head("classifier.6");
}

void FeatureBuilder::finish_hidden(int64_t hidden, ops::Unary activation, double probability) {
  if (config().linear_head) return pool_and_linear_head();
  network_.add_stage("pool", FeatureNetwork::pool_stage());
  const auto group = classifier();
  const auto linear = group->add("0", std::make_shared<Linear>(network_.features_, hidden));
  const auto dropout = group->add("2", std::make_shared<Dropout>(probability));
  network_.add_stage("classifier.0",
                     {{"classifier.0", "classifier.2"}, [=](const Tensor& x) {
                        return (*dropout)(functional::unary((*linear)(x), activation));
                      }});
  network_.features_ = hidden;
  if (config().classes > 0) network_.add_head("classifier.3");
}

void FeatureBuilder::finish_squeezenet() {
  if (config().linear_head || config().classes == 0) return pool_and_linear_head();
  const auto group = classifier();
  const auto dropout = group->add("0", std::make_shared<Dropout>(0.5));
  const auto conv =
      group->add("1", std::make_shared<Conv2d>(Conv2dOptions{network_.features_, config().classes,
                                                             1, 1, 0, 1, 1, true}));
  network_.add_stage("classifier.1", {{"classifier.0", "classifier.1"}, [=](const Tensor& x) {
                                        return pooled(functional::relu((*conv)((*dropout)(x))));
                                      }});
}

}  // namespace graft::models
