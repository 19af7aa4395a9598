#include "graft/layers/functional/optimizer_step.h"

namespace graft::functional {

void optimizer_step(std::span<ops::OptimizerParameter> parameters, const Tensor& numbers, const ops::OptimizerStepAttributes& attributes) {
  GRAFT_CHECK(numbers.shape() == Shape{ops::kOptimizerNumbers} && numbers.dtype() == DType::f32, "optimizer step: numbers ", numbers.shape(), " of ",
              name_of(numbers.dtype()));
  ops::optimizer_kernels_for(numbers.device())(current_context(), {parameters, numbers, attributes});
}

}  // namespace graft::functional
