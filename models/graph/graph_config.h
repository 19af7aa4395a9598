// GraphConfig: an imported graph as an architecture: what a model's card stores of it.
#pragma once
#include <memory>
#include <string>

#include "graft/models/graph/graph_source.h"

namespace graft::models {

struct GraphConfig {
  std::string name = "graph";
  std::shared_ptr<const GraphSource> source{};  // the nodes; tensors may lack their values
  int64_t in_channels = 3;
  int64_t classes = 0;  // 0: the graph ends in features
  std::string
      classifier_input{};  // the value that the graph's own classifier takes; "": it has none
  int64_t features = 0;    // channels of that value, or of the graph's output
  bool own_head = false;   // pool and head of graft behind the graph's output
  bool pooled = false;     // without a head: the output's spatial axes are pooled away
  double eps = 1e-5;       // of un-folded batch norms
};

// The nodes as JSON: {"inputs", "nodes", "opsets", "outputs", "stage_ends", "tensors"}; a tensor is
// its name, role, dtype and shape. from_json: bad_input when it is damaged; the operators are
// checked by GraphModule.
GRAFT_API std::string graph_to_json(const GraphSource& source);
GRAFT_API GraphSource graph_from_json(const std::string& json);

// The part of a graph that computes `value`, which becomes its only output.
GRAFT_API GraphSource cut_graph(const GraphSource& source, const std::string& value);
// The same source without its tensors' values; and with those of a file. bad_input naming what is
// missing or does not fit.
GRAFT_API GraphSource without_values(const GraphSource& source);
GRAFT_API GraphSource with_values(const GraphSource& source, const StateDict& tensors);

}  // namespace graft::models
