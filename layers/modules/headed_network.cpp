#include "graft/layers/modules/headed_network.h"

#include <algorithm>

namespace graft {

HeadedNetwork::HeadedNetwork(std::shared_ptr<StagedNetwork> body, std::shared_ptr<Module> head)
    : body_(std::move(body)), head_(std::move(head)) {
  GRAFT_CHECK(body_ && head_, "a headed network needs a body and a head");
  stages_ = body_->stages();
  GRAFT_CHECK(stages_.size() >= 2, "a headed network: its body has one stage only");
  body_->freeze_stage(stages_.size() - 1);
  for (Module* unused : body_->stage_modules(stages_.size() - 1)) unused->mark_run_by_parts();
  stages_.back() = "head";
  register_module("body", body_);
  register_module("head", head_);
}

std::vector<std::string> HeadedNetwork::stage_paths(size_t stage) const {
  if (stage + 1 == stages_.size()) return {"head"};
  std::vector<std::string> paths = body_->stage_paths(stage);
  for (std::string& path : paths) path.insert(0, "body.");
  return paths;
}

Tensor HeadedNetwork::forward_stages(const Tensor& x, size_t begin, size_t end) {
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages ", begin, " to ", end, " of ",
              stages_.size());
  const size_t of_body = stages_.size() - 1;
  Tensor y = x;
  if (begin < of_body) y = body_->forward_stages(y, begin, std::min(end, of_body));
  return begin < end && end > of_body ? (*head_)(y) : y;
}

}  // namespace graft
