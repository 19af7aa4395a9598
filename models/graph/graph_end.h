// What stands behind a graph's classifier: the final activation, which graft applies itself, and
// one output that means two classes.
#pragma once
#include "graft/models/card.h"
#include "graft/models/graph/graph_source.h"

namespace graft::models {

// The graph without its final Softmax, LogSoftmax or Sigmoid, behind which values are only
// reshaped; what the logits become. Softmax where the graph has none of them: `found` says.
Activation drop_final_activation(GraphSource& source, bool& found);

inline constexpr const char* kTwoClasses = "two_classes";  // the node's name

// Behind a graph of one output z a node that makes of it the logits [0, z] of two classes, whose
// softmax is z's sigmoid.
void put_two_classes(GraphSource& source);

}  // namespace graft::models
