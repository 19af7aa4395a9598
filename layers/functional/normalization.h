// Normalisations other than batch norm. Statistics are of the sample alone, so nothing is learnt or
// kept but weight and bias; both may be undefined, and have x's dtype or float32 beside 16-bit
// activations.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/normalize.h"

namespace graft::functional {

// y = (x - mean) / sqrt(variance + eps) over the axes from `axis` on; ops/normalize.h has the
// formulas.
GRAFT_API Tensor normalize(const Tensor& x, int axis, double eps, bool center = true);

// weight and bias broadcast to x from the right: the shape of x from `axis` on.
GRAFT_API Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            int axis = -1, double eps = 1e-5);
GRAFT_API Tensor rms_norm(const Tensor& x, const Tensor& weight, int axis = -1, double eps = 1e-5);
// x [N,C,...], weight and bias [C]; each of the `groups` takes C/groups channels. groups 1..C.
GRAFT_API Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight,
                            const Tensor& bias, double eps = 1e-5);
// x [N,C,...], weight and bias [C].
GRAFT_API Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                               double eps = 1e-5);

struct LocalResponseNormOptions {
  int64_t size = 5;
  double alpha = 1e-4, beta = 0.75, bias = 1;
};
// y = x / (bias + alpha/size * sum of x^2 over `size` channels around)^beta: Krizhevsky et al.
// 2012, section 3.3, with ONNX's and PyTorch's alpha/size. Of an even size the window has one
// channel more after than before (ONNX).
GRAFT_API Tensor local_response_norm(const Tensor& x, const LocalResponseNormOptions& options);
// x divided by its p-norm along the axis; p is 1 or 2. A line of zeros stays zero.
GRAFT_API Tensor lp_normalization(const Tensor& x, int axis = -1, int p = 2);
// (x - mean) / (sqrt(variance) + 1e-9) over the axes, as ONNX's MeanVarianceNormalization.
GRAFT_API Tensor mean_variance_normalization(const Tensor& x, std::vector<int> axes = {0, 2, 3});

}  // namespace graft::functional
