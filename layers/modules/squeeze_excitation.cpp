#include "graft/layers/modules/squeeze_excitation.h"

#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/pool.h"

namespace graft {

SqueezeExcitation::SqueezeExcitation(const SqueezeExcitationOptions& o) : options_(o) {
  GRAFT_CHECK(o.channels >= 1 && o.hidden >= 1, "SqueezeExcitation: ", o.channels, " channels, ",
              o.hidden, " hidden");
  fc1_ = register_module(
      "fc1", std::make_shared<Conv2d>(Conv2dOptions{o.channels, o.hidden, 1, 1, 0, 1, 1, true}));
  fc2_ = register_module(
      "fc2", std::make_shared<Conv2d>(Conv2dOptions{o.hidden, o.channels, 1, 1, 0, 1, 1, true}));
}

Tensor SqueezeExcitation::forward(const Tensor& x) {
  const Tensor means = (*fc1_)(functional::global_average_pool(x));
  const Tensor hidden = options_.silu ? functional::silu(means) : functional::relu(means);
  const Tensor gate = (*fc2_)(hidden);
  return functional::mul(x, options_.hard_gate ? functional::hard_sigmoid(gate, 1.0 / 6, 0.5)
                                               : functional::sigmoid(gate));
}

}  // namespace graft
