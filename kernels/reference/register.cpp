#include "graft/kernels/reference/register.h"

namespace graft {

void register_reference_kernels(KernelSet& set) {
  reference::register_conv(set);
  reference::register_fused_conv(set);
  reference::register_quantized_conv(set);
  reference::register_batch_norm(set);
  reference::register_linear(set);
  reference::register_pool(set);
  reference::register_unary(set);
  reference::register_binary(set);
  reference::register_concat(set);
  reference::register_pad(set);
  reference::register_softmax(set);
  reference::register_loss(set);
  reference::register_reduce(set);
  reference::register_dropout(set);
  reference::register_select(set);
  reference::register_take(set);
  reference::register_image_input(set);
  reference::register_indexing(set);
  reference::register_matmul(set);
  reference::register_optimizer(set);
  reference::register_ordering(set);
  reference::register_normalize(set);
  reference::register_resample(set);
  reference::register_grid_sample(set);
  reference::register_roi_align(set);
}

}  // namespace graft
