// HeadedNetwork: another network's stages with a head of the user's own in place of its last.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/layers/modules/staged_network.h"

namespace graft {

// The head is the last stage, "head", and takes what the body's last stage would have taken: of
// graft's networks [N,features]. The body's own head stays in it, frozen and unused.
class GRAFT_API HeadedNetwork final : public StagedNetwork {
 public:
  HeadedNetwork(std::shared_ptr<StagedNetwork> body, std::shared_ptr<Module> head);
  const std::vector<std::string>& stages() const override { return stages_; }
  std::vector<std::string> stage_paths(size_t stage) const override;
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  bool looks_at_values() const override { return body_->looks_at_values(); }

 private:
  std::shared_ptr<StagedNetwork> body_;
  std::shared_ptr<Module> head_;
  std::vector<std::string> stages_;
};

}  // namespace graft
