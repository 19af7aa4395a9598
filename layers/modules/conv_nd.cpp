#include "graft/layers/modules/conv_nd.h"

#include "graft/layers/modules/default_values.h"

namespace graft {

ConvNd::ConvNd(const char* name, int axes, const Conv2dOptions& o)
    : name_(name), options_(o), bias_(&none_) {
  GRAFT_CHECK(o.in_channels >= 1 && o.out_channels >= 1 && o.kernel >= 1 && o.groups >= 1 &&
                  o.in_channels % o.groups == 0 && o.out_channels % o.groups == 0,
              name, ": ", o.in_channels, " to ", o.out_channels, " channels with kernel ", o.kernel,
              " and ", o.groups, " groups");
  ops::Window& window = attributes_.window;
  window.axes = axes;
  attributes_.groups = o.groups;
  std::vector<int64_t> extents{o.out_channels, o.in_channels / o.groups};
  int64_t fan_in = o.in_channels / o.groups;
  for (size_t i = 0; i < static_cast<size_t>(axes); ++i) {
    window.kernel[i] = o.kernel;
    window.stride[i] = o.stride;
    window.dilation[i] = o.dilation;
    window.pad_begin[i] = window.pad_end[i] = o.padding;
    extents.push_back(o.kernel);
    fan_in = checked_mul(fan_in, o.kernel);
  }
  weight_ = &register_parameter("weight", Tensor::zeros(Shape(std::span<const int64_t>(extents))));
  if (o.bias) bias_ = &register_parameter("bias", Tensor::zeros({o.out_channels}));
  give_default_values(*weight_, *bias_, fan_in);
}

Tensor ConvNd::forward(const Tensor& x) {
  GRAFT_CHECK(x.rank() == weight_->rank(), name_, ": input ", x.shape(), ", expected ",
              weight_->rank(), " axes");
  return functional::conv(x, *weight_, *bias_, attributes_);
}

}  // namespace graft
