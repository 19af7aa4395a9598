// Convolution with what follows it in an inference plan: y = act(conv(x, weight) + bias +
// residual). No gradient. The weight can be packed once, ahead of the runs.
#pragma once
#include <memory>

#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/unary.h"

namespace graft::ops {

// function: any element-wise function, of the sums as they are stored. The CPU's kernels alone know
// it.
enum class FusedActivation : unsigned char { none, relu, relu6, function };

struct FusedConvAttributes {
  static constexpr std::string_view id = "fused_conv";
  ConvAttributes conv{};
  FusedActivation activation = FusedActivation::none;
  UnaryAttributes function{};  // where the activation is one
};

// A weight in a kernel's own layout, opaque to its owner. It is a copy: whoever keeps one keys it
// by the weight's (storage_id, version) and packs anew when they change.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
};

struct FusedConvPackArgs {
  const Tensor& weight;  // [K,C/groups,R,S]
  const FusedConvAttributes& attributes;
  std::shared_ptr<const PackedWeight>& packed;  // result; null when the kernels want none
  bool dtypes_fit() const { return true; }
};

struct FusedConvForwardArgs {
  const Tensor& x;       // [N,C,H,W]
  const Tensor& weight;  // [K,C/groups,R,S], read when packed is null or of another instruction set
  const PackedWeight* packed;  // what pack made of this weight, or null
  const Tensor* bias;          // [K] or null
  const Tensor* residual;      // like y, or null
  const FusedConvAttributes& attributes;
  Tensor& y;  // [N,K,P,Q]; may not share storage with x or residual
  bool dtypes_fit() const {
    return are_of(x.dtype(), residual, y) && go_with(x.dtype(), weight, bias);
  }
};

struct FusedConvKernels {
  KernelList<FusedConvPackArgs> pack{"fused_conv pack"};
  KernelList<FusedConvForwardArgs> forward{"fused_conv forward"};
};

}  // namespace graft::ops
