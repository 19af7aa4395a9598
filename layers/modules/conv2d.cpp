#include "graft/layers/modules/conv2d.h"

#include "graft/layers/functional/conv.h"
#include "graft/layers/modules/default_values.h"

namespace graft {

Conv2d::Conv2d(const Conv2dOptions& o) : options_(o), bias_(&none_) {
  GRAFT_CHECK(o.in_channels >= 1 && o.out_channels >= 1 && o.kernel >= 1 && o.groups >= 1 &&
                  o.in_channels % o.groups == 0 && o.out_channels % o.groups == 0,
              "Conv2d: ", o.in_channels, " to ", o.out_channels, " channels with kernel ", o.kernel,
              " and ", o.groups, " groups");
  attributes_.window = ops::square_window(o.kernel, o.stride, o.padding, o.dilation);
  attributes_.groups = o.groups;
  weight_ = &register_parameter(
      "weight", Tensor::zeros({o.out_channels, o.in_channels / o.groups, o.kernel, o.kernel}));
  if (o.bias) bias_ = &register_parameter("bias", Tensor::zeros({o.out_channels}));
  give_default_values(*weight_, *bias_, o.in_channels / o.groups * o.kernel * o.kernel);
}

void Conv2d::set_steps(int64_t stride, int64_t dilation) {
  GRAFT_CHECK(stride >= 1 && dilation >= 1, "Conv2d: stride ", stride, ", dilation ", dilation);
  options_.padding = options_.padding / options_.dilation * dilation;
  options_.stride = stride;
  options_.dilation = dilation;
  attributes_.window = ops::square_window(options_.kernel, stride, options_.padding, dilation);
}

Tensor Conv2d::forward(const Tensor& x) {
  return functional::conv(x, *weight_, *bias_, attributes_);
}

Tensor Conv2d::forward_with_statistics(const Tensor& x, functional::BatchStatistics& statistics) {
  return functional::conv(x, *weight_, *bias_, attributes_, &statistics);
}

}  // namespace graft
