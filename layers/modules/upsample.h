// Upsample: images [N,C,spatial...] enlarged by a whole factor along every spatial axis.
#pragma once
#include "graft/layers/functional/image.h"
#include "graft/layers/modules/module.h"

namespace graft {

struct UpsampleOptions {
  int64_t factor = 2;
  functional::ResizeMode mode = functional::ResizeMode::nearest;
  bool align_corners = false;  // linear and cubic only
};

// As PyTorch's Upsample(scale_factor=...).
class GRAFT_API Upsample final : public Module {
 public:
  explicit Upsample(const UpsampleOptions& options = {});
  Tensor forward(const Tensor& x) override;

 private:
  UpsampleOptions options_;
};

}  // namespace graft
