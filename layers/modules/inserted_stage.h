// InsertedStage: another network with one more stage, of the user's own, behind one of its stages.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/layers/modules/staged_network.h"

namespace graft {

// The network's tensors keep their names, the new stage's are below `name`. It takes what the stage
// before it hands on, and gives what the one behind it takes. (A segmentation network hands several
// maps on as one packed tensor, so that little can be put between its stages.)
class GRAFT_API InsertedStage final : public StagedNetwork {
 public:
  // bad_input listing the stages when there is no stage `behind`, and for a name that is taken.
  InsertedStage(std::shared_ptr<StagedNetwork> network, const std::string& behind, std::string name,
                std::shared_ptr<Module> module);
  const std::vector<std::string>& stages() const override { return stages_; }
  std::vector<std::string> stage_paths(size_t stage) const override;
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  std::vector<Tensor> stage_values(const Tensor& x, size_t stage) override;
  bool looks_at_values() const override { return network_->looks_at_values(); }

 private:
  std::shared_ptr<StagedNetwork> network_;
  std::shared_ptr<Module> module_;
  std::vector<std::string> stages_;
  size_t at_;  // of the new stage
};

}  // namespace graft
