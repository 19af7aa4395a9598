// The convolutions of graft's networks as the graphs that graft gives to cuDNN: found by tracing
// the network by shapes alone.
#pragma once
#include <string>
#include <vector>

#include "graft/kernels/cuda/cudnn/dnn.h"

namespace graft::test {

struct ConvLayer {
  cudnn::ConvGraph forward;    // as in training: a bias where the layer has one
  cudnn::ConvGraph inference;  // as in a plan: batch norm folded into weight and bias, residual and
                               // activation fused
  bool first = false;          // reads the image: nobody asks for its dx
};

// Each different layer of a network that make_network() knows, in order, on images of 224 x 224.
std::vector<ConvLayer> conv_layers(const std::string& network, int64_t batch, DType type);

// The backward graphs of a layer.
cudnn::ConvGraph backward_data(const ConvLayer& layer);
cudnn::ConvGraph backward_weight(const ConvLayer& layer, DType gradient);

}  // namespace graft::test
