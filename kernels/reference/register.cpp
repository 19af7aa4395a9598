#include "graft/kernels/reference/register.h"

#include "graft/kernels/ops/kernel_set.h"

namespace graft {

void register_reference_kernels(KernelSet& set) {
  reference::register_conv(set.conv);
  reference::register_fused_conv(set.fused_conv);
  reference::register_quantized_conv(set.quantized_conv);
  reference::register_batch_norm(set.batch_norm);
  reference::register_linear(set.linear);
  reference::register_pool(set.pool);
  reference::register_unary(set.unary);
  reference::register_binary(set.binary);
  reference::register_concat(set.shape_change);
  reference::register_pad(set.shape_change);
  reference::register_softmax(set.softmax);
  reference::register_loss(set.loss);
  reference::register_reduce(set.reduce);
  reference::register_dropout(set.dropout);
  reference::register_select(set.select);
  reference::register_take(set.take);
  reference::register_image_input(set.image_input);
  reference::register_indexing(set.indexing);
  reference::register_matmul(set.matmul);
  reference::register_optimizer(set.optimizer);
  reference::register_ordering(set.ordering);
  reference::register_normalize(set.normalize);
  reference::register_resample(set.resample);
  reference::register_grid_sample(set.sample);
  reference::register_roi_align(set.sample);
  reference::register_ctc(set.ctc);
}

}  // namespace graft
