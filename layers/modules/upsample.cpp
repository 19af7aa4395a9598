#include "graft/layers/modules/upsample.h"

namespace graft {

Upsample::Upsample(const UpsampleOptions& options) : options_(options) {
  GRAFT_CHECK(options.factor >= 1, "Upsample: factor ", options.factor);
  GRAFT_CHECK(!options.align_corners || options.mode != functional::ResizeMode::nearest,
              "Upsample: the nearest element knows no corners to align");
}

Tensor Upsample::forward(const Tensor& x) {
  GRAFT_CHECK(x.rank() >= 3, "Upsample: input ", x.shape(), " has no spatial axes");
  std::vector<int64_t> extents;
  for (int axis = 2; axis < x.rank(); ++axis)
    extents.push_back(checked_mul(x.size(axis), options_.factor));
  return functional::interpolate(x, std::span<const int64_t>(extents), options_.mode,
                                 options_.align_corners);
}

}  // namespace graft
