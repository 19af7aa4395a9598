#include "graft/layers/modules/inserted_stage.h"

#include <algorithm>

namespace graft {

InsertedStage::InsertedStage(std::shared_ptr<StagedNetwork> network, const std::string& behind,
                             std::string name, std::shared_ptr<Module> module)
    : network_(std::move(network)), module_(std::move(module)), at_(0) {
  GRAFT_CHECK(network_ && module_, "a stage to insert needs a network and a module");
  stages_ = network_->stages();
  at_ = network_->stage_index(behind) + 1;
  const bool taken = std::find(stages_.begin(), stages_.end(), name) != stages_.end();
  GRAFT_CHECK(!name.empty() && !taken && !network_->find(name), "a stage to insert: the name '",
              name, "' is taken by the network");
  stages_.insert(stages_.begin() + static_cast<std::ptrdiff_t>(at_), name);
  register_nameless_module("network with a stage more", network_);
  register_module(std::move(name), module_);
}

std::vector<std::string> InsertedStage::stage_paths(size_t stage) const {
  GRAFT_CHECK(stage < stages_.size(), "stage ", stage, " of ", stages_.size());
  if (stage == at_) return {stages_[at_]};
  return network_->stage_paths(stage < at_ ? stage : stage - 1);
}

Tensor InsertedStage::forward_stages(const Tensor& x, size_t begin, size_t end) {
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages [", begin, ", ", end, ") of ",
              stages_.size());
  Tensor y = x;
  if (begin < std::min(end, at_)) y = network_->forward_stages(y, begin, std::min(end, at_));
  if (begin <= at_ && at_ < end) y = (*module_)(y);
  const size_t rest = std::max(begin, at_ + 1);
  return rest < end ? network_->forward_stages(y, rest - 1, end - 1) : y;
}

std::vector<Tensor> InsertedStage::stage_values(const Tensor& x, size_t stage) {
  if (stage == at_) return {(*module_)(x)};
  return network_->stage_values(x, stage < at_ ? stage : stage - 1);
}

}  // namespace graft
