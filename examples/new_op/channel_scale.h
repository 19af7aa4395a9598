// channel_scale: every channel times its own factor. Contract, as kernels/ops/channel_scale.h would
// hold it.
#pragma once
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/kernel_list.h"

namespace graft::ops {

struct ChannelScaleAttributes {
  static constexpr std::string_view id = "channel_scale";  // its name in a Trace
};

// y[n,c,...] = x[n,c,...] * scale[c]    (LayerScale, Touvron et al. 2021, eq. 4)
struct ChannelScaleForwardArgs {
  const Tensor& x;      // [N,C,...], either layout
  const Tensor& scale;  // [C]
  Tensor& y;            // like x
  // Which dtypes go together: dispatch refuses all others.
  bool dtypes_fit() const { return are_of(x.dtype(), scale, y); }
};
// dx = dy * scale; dscale[c] = sum over n and pixels of dy * x
struct ChannelScaleBackwardArgs {
  const Tensor& x;
  const Tensor& scale;
  const Tensor& dy;
  Tensor& dx;      // like x; undefined when nobody asks for it
  Tensor& dscale;  // [C]; undefined when nobody asks for it
  bool dtypes_fit() const { return are_of(x.dtype(), scale, dy, dx, dscale); }
};

struct ChannelScaleKernels {
  KernelList<ChannelScaleForwardArgs> forward{"channel_scale forward"};
  KernelList<ChannelScaleBackwardArgs> backward{"channel_scale backward"};
};

}  // namespace graft::ops

namespace graft::reference {
void register_channel_scale(ops::ChannelScaleKernels& kernels);
}

namespace graft::functional {
// x [N,C,...], scale [C] of the same floating dtype -> like x.
Tensor channel_scale(const Tensor& x, const Tensor& scale);
}  // namespace graft::functional
