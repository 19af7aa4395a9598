// StagedNetwork: a network as a chain of named stages, so that training can freeze, cache and cut
// without knowing it.
#pragma once
#include <string>
#include <vector>

#include "graft/layers/modules/module.h"

namespace graft {

class GRAFT_API StagedNetwork : public Module {
 public:
  StagedNetwork() { mark_run_by_parts(); }  // within another one: stage by stage

  // In order of execution; ResNet: stem, layer1 .. layer4, pool, fc. The last stage is the head.
  virtual const std::vector<std::string>& stages() const = 0;
  // Runs stages [begin, end) on what stage `begin` takes. bad_input for a range outside of
  // stages().
  virtual Tensor forward_stages(const Tensor& x, size_t begin, size_t end) = 0;
  // What a stage computes that others may want beside its result, which is the last: a map before
  // it is pooled.
  virtual std::vector<Tensor> stage_values(const Tensor& x, size_t stage) {
    return {forward_stages(x, stage, stage + 1)};
  }
  // The modules a stage owns, by path ("conv1", "bn1" for the stem); empty for a stage without
  // parameters.
  virtual std::vector<std::string> stage_paths(size_t stage) const = 0;

  // Whether forward may look at the values that it computes (a graph may index by them); shapes
  // alone decide elsewhere.
  virtual bool looks_at_values() const { return false; }

  Tensor forward(const Tensor& x) override { return forward_stages(x, 0, stages().size()); }

  // The modules of a stage.
  std::vector<Module*> stage_modules(size_t stage);
  void freeze_stage(size_t stage);
  // How many leading stages hold no trainable parameter: the prefix whose output is a fixed
  // function of the image.
  size_t frozen_stages();
  // Index of a stage by name; bad_input listing the names when there is none.
  size_t stage_index(std::string_view name) const;
};

}  // namespace graft
