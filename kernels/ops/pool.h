// Max, average and adaptive average pooling over 1 to 3 spatial axes.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"
#include "graft/kernels/ops/window.h"

namespace graft::ops {

// Padding never wins a maximum. The first maximum in window order takes the gradient (PyTorch's
// rule).
struct MaxPoolAttributes {
  static constexpr std::string_view id = "max_pool";
  Window window{};
  bool ceil_mode = false;
};
// count_include_pad: the divisor counts padding (but not what ceil_mode adds beyond it).
struct AveragePoolAttributes {
  static constexpr std::string_view id = "average_pool";
  Window window{};
  bool ceil_mode = false;
  bool count_include_pad = true;
};
// Output cell i averages input [floor(i*in/out), ceil((i+1)*in/out)). Output 1 is global average
// pooling.
struct AdaptiveAveragePoolAttributes {
  static constexpr std::string_view id = "adaptive_average_pool";
  Spatial output{1, 1, 1};
};

GRAFT_API Shape pool_output_shape(const char* op, const Shape& x, const Window& window,
                                  bool ceil_mode);
GRAFT_API Shape adaptive_pool_output_shape(const Shape& x,
                                           const AdaptiveAveragePoolAttributes& attributes);

struct MaxPoolForwardArgs {
  const Tensor& x;  // [N,C,H,W]
  const MaxPoolAttributes& attributes;
  Tensor& y;        // [N,C,P,Q]
  Tensor* indices;  // i32 like y: position of the maximum in its input plane (h*W + w), or null:
                    // not wanted
  bool dtypes_fit() const { return are_of(x.dtype(), y) && are_of(DType::i32, indices); }
};
struct MaxPoolBackwardArgs {
  const Tensor& dy;
  const Tensor& indices;
  const MaxPoolAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(dy.dtype(), dx) && are_of(DType::i32, indices); }
};
struct AveragePoolForwardArgs {
  const Tensor& x;
  const AveragePoolAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};
struct AveragePoolBackwardArgs {
  const Tensor& dy;
  const AveragePoolAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(dy.dtype(), dx); }
};
struct AdaptiveAveragePoolForwardArgs {
  const Tensor& x;
  const AdaptiveAveragePoolAttributes& attributes;
  Tensor& y;
  bool dtypes_fit() const { return are_of(x.dtype(), y); }
};
struct AdaptiveAveragePoolBackwardArgs {
  const Tensor& dy;
  const AdaptiveAveragePoolAttributes& attributes;
  Tensor& dx;
  bool dtypes_fit() const { return are_of(dy.dtype(), dx); }
};

struct PoolKernels {
  KernelList<MaxPoolForwardArgs> max_forward{"max_pool forward"};
  KernelList<MaxPoolBackwardArgs> max_backward{"max_pool backward"};
  KernelList<AveragePoolForwardArgs> average_forward{"average_pool forward"};
  KernelList<AveragePoolBackwardArgs> average_backward{"average_pool backward"};
  KernelList<AdaptiveAveragePoolForwardArgs> adaptive_forward{"adaptive_average_pool forward"};
  KernelList<AdaptiveAveragePoolBackwardArgs> adaptive_backward{"adaptive_average_pool backward"};
};

}  // namespace graft::ops
