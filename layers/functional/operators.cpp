// The number beside a tensor.
#include "graft/layers/functional/operators.h"

namespace graft {

Tensor number_beside(const Tensor& x, double number) {
  const DType dtype = x.dtype();
  GRAFT_CHECK(is_floating(dtype) || Tensor::scalar(number, dtype).item() == number, "the number ",
              number, " beside a tensor of ", name_of(dtype), ", which cannot hold it");
  return Tensor::full(Shape{}, number, {.dtype = dtype, .device = x.device()});
}

}  // namespace graft
