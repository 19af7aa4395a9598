#include "graft/layers/modules/conv_transpose2d.h"

#include <algorithm>

#include "graft/layers/functional/image.h"
#include "graft/layers/modules/default_values.h"

namespace graft {

ConvTranspose2d::ConvTranspose2d(const ConvTranspose2dOptions& o) : options_(o), bias_(&none_) {
  GRAFT_CHECK(o.in_channels >= 1 && o.out_channels >= 1 && o.kernel >= 1 && o.groups >= 1 &&
                  o.in_channels % o.groups == 0 && o.out_channels % o.groups == 0,
              "ConvTranspose2d: ", o.in_channels, " to ", o.out_channels, " channels with kernel ",
              o.kernel, " and ", o.groups, " groups");
  GRAFT_CHECK(o.output_padding >= 0 && o.output_padding < std::max(o.stride, o.dilation),
              "ConvTranspose2d: output padding ", o.output_padding, ", stride ", o.stride,
              ", dilation ", o.dilation, ": it is less than one of the two");
  attributes_.window = ops::square_window(o.kernel, o.stride, o.padding, o.dilation);
  attributes_.groups = o.groups;
  weight_ = &register_parameter(
      "weight", Tensor::zeros({o.in_channels, o.out_channels / o.groups, o.kernel, o.kernel}));
  if (o.bias) bias_ = &register_parameter("bias", Tensor::zeros({o.out_channels}));
  // PyTorch takes the weight's second axis for the inputs here too.
  give_default_values(*weight_, *bias_, o.out_channels / o.groups * o.kernel * o.kernel);
}

Tensor ConvTranspose2d::forward(const Tensor& x) {
  return functional::conv_transpose(x, *weight_, *bias_, attributes_,
                                    {options_.output_padding, options_.output_padding, 0});
}

}  // namespace graft
