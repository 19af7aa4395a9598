// functional::channel_scale and its Node: check, run a kernel, record.
#include "channel_scale.h"

#include "graft/core/autograd/record.h"

namespace graft::functional {
namespace {

// In the tree this is a member of KernelSet, reached through kernels_for<ChannelScaleKernels>(x).
const ops::ChannelScaleKernels& kernels() {
  static const ops::ChannelScaleKernels set = [] {
    ops::ChannelScaleKernels made;
    reference::register_channel_scale(made);
    return made;
  }();
  return set;
}

class ChannelScaleNode final : public Node {
 public:
  ChannelScaleNode(const Tensor& x, const Tensor& scale) : x_(x), scale_(scale) {}
  const char* name() const override { return "channel_scale"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor &x = x_.get("channel_scale"), &scale = scale_.get("channel_scale");
    Tensor dx = needs(0) ? Tensor::empty_like(x) : Tensor();
    Tensor dscale = needs(1) ? Tensor::empty_like(scale) : Tensor();
    kernels().backward(current_context(), {x, scale, grads[0], dx, dscale});
    return {dx, dscale};
  }
  void release() override {
    x_.release();
    scale_.release();
  }

 private:
  SavedTensor x_, scale_;
};

// How a compiled plan runs it again on another number of images.
Replay replay_channel_scale(const ReplaySite&) {
  return {[](const auto& in) { return channel_scale(in[0], in[1]); }, {}};
}

}  // namespace

Tensor channel_scale(const Tensor& x, const Tensor& scale) {
  GRAFT_CHECK(x.rank() >= 2 && scale.rank() == 1 && scale.size(0) == x.size(1), "channel_scale: x ",
              x.shape(), " needs a scale of [C], got ", scale.shape());
  GRAFT_CHECK(x.dtype() == scale.dtype(), "channel_scale: x is ", name_of(x.dtype()), ", scale ",
              name_of(scale.dtype()));
  Tensor y = Tensor::empty_like(x);
  kernels().forward(current_context(), {x, scale, y});
  return record(ops::ChannelScaleAttributes{}, replay_channel_scale, {x, scale}, y,
                [&] { return std::make_shared<ChannelScaleNode>(x, scale); });
}

}  // namespace graft::functional
