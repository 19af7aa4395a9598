// Where a graph's classifier begins.
#pragma once
#include <string>
#include <vector>

#include "graft/models/graph/graph_source.h"

namespace graft::models {

struct ClassifierSearch {
  const io::onnx::Node* classifier = nullptr;  // null: none, or more than one candidate
  std::vector<const io::onnx::Node*>
      candidates;            // linear operators with weights whose result reaches the output
                             // through no other node with weights
  bool behind_norm = false;  // a norm with weights stands there too
};

// The last Conv, Gemm or MatMul with weights whose result reaches the first output through no other
// parametrised node (a bias that is added is no such node).
ClassifierSearch find_classifier(const GraphSource& source);

}  // namespace graft::models
