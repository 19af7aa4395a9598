// Convolution's contract (kernels/ops/conv.h) as a ConvGraph.
#pragma once
#include "graft/kernels/cuda/cudnn/dnn.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cudnn {

// image [N,C,H,W] (x or dx), result [N,K,P,Q] (y or dy), weight [K,C/groups,R,S]; nothing fused.
inline ConvGraph conv_graph(ConvPass pass, DType type, const Shape& image, const Shape& result,
                            const Shape& weight, const ops::ConvAttributes& attributes) {
  const ops::Window& window = attributes.window;
  ConvGraph graph{.pass = pass, .type = type};
  graph.n = image[0], graph.c = image[1], graph.h = image[2], graph.w = image[3];
  graph.k = result[1], graph.p = result[2], graph.q = result[3], graph.r = weight[2],
  graph.s = weight[3], graph.groups = attributes.groups;
  for (size_t axis = 0; axis < 2; ++axis) {
    graph.stride[axis] = window.stride[axis];
    graph.pad_begin[axis] = window.pad_begin[axis];
    graph.pad_end[axis] = window.pad_end[axis];
    graph.dilation[axis] = window.dilation[axis];
  }
  return graph;
}

}  // namespace graft::cudnn
