// Un-folding in graphs: batch norms that were folded into convolutions stand again as nodes of
// their own.
#pragma once
#include <string>
#include <vector>

#include "graft/models/graph/graph_source.h"

namespace graft::models {

struct Unfolded {
  std::vector<std::string> norms{};  // names of the new nodes, sorted
  std::string reason{};  // why they are, or why no bias is taken for a folded norm; "": no
                         // convolution has a bias
};

// Which convolutions' biases are what is left of a batch norm. The first of these that says
// something decides:
//  1. Names. PyTorch's exporters call what they folded onnx::Conv_123 or give the bias the name of
//  the weight and "_bias",
//     TensorFlow's converter says fused_bn. Then these convolutions are, and no others.
//  2. Norms in the graph. One directly behind a convolution: nothing was folded. Norms that stand
//  elsewhere only, and
//     convolutions with and without a bias beside them (DenseNet): those with one are. Any other
//     kind of norm: none is.
//  3. Shape. Residual sums or depthwise convolutions are not trained without norms: all are.
//  4. Numbers. A folded norm leaves filters of very different sizes: the deviation of the logarithm
//  of a layer's filter
//     norms, the median over the layers, is 0.28 to 1.39 in the folded ResNets that graft was tried
//     with and 0.12 in SqueezeNet 1.1, which never had norms. From kFoldedSpread on all are.
inline constexpr double kFoldedSpread = 0.2;

// Behind each of them (2-D, with a stored bias of its own, not the classifier) comes a
// BatchNormalization with weight 1, mean 0, variance 1 - eps and that bias: the same function in
// eval, whatever was decided.
Unfolded unfold_graph_norms(GraphSource& source, double eps);

}  // namespace graft::models
