#include "graft/layers/modules/batch_norm2d.h"

#include "graft/layers/functional/functional.h"

namespace graft {

BatchNorm2d::BatchNorm2d(const BatchNorm2dOptions& o) : options_(o) {
  GRAFT_CHECK(o.channels >= 1 && o.eps >= 0, "BatchNorm2d: ", o.channels, " channels, eps ", o.eps);
  weight_ = &register_parameter("weight", Tensor::full({o.channels}, 1));
  bias_ = &register_parameter("bias", Tensor::zeros({o.channels}));
  running_mean_ = &register_buffer("running_mean", Tensor::zeros({o.channels}));
  running_var_ = &register_buffer("running_var", Tensor::full({o.channels}, 1));
  batches_ = &register_buffer("num_batches_tracked", Tensor::zeros(Shape{}, {.dtype = DType::i64}));
}

Tensor BatchNorm2d::normalise(const Tensor& x, bool relu, const Tensor& residual) {
  const bool training_now = training() && !fixed_statistics_;
  if (training_now) ++batches_->mutable_data<int64_t>()[0];
  return functional::batch_norm(x, *weight_, *bias_, *running_mean_, *running_var_,
                                {training_now, options_.momentum, options_.eps, relu}, residual);
}

void BatchNorm2d::set_statistics(const Tensor& mean, const Tensor& variance) {
  running_mean_->copy_from(mean);
  running_var_->copy_from(variance);
}

}  // namespace graft
