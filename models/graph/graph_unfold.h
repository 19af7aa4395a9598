// Un-folding in graphs: batch norms that were folded into convolutions stand again as nodes of their own.
#pragma once
#include <string>
#include <vector>

#include "graft/models/graph/graph_source.h"

namespace graft::models {

// Only for graphs that must have had them: convolutions with biases, no normalisation of any kind, and residual sums or
// depthwise convolutions (nothing of that shape is trained without a norm; VGG or SqueezeNet without norms stay as they are).
// Behind each 2-D convolution with a stored bias of its own, but the classifier, comes a BatchNormalization with weight 1,
// mean 0, variance 1 - eps and that bias: the same function in eval. The norms' names come back, sorted.
std::vector<std::string> unfold_graph_norms(GraphSource& source, double eps);

}  // namespace graft::models
