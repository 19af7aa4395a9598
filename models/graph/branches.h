// If nodes whose condition is known when a graph is read: the branch that is taken becomes nodes of
// the graph.
#pragma once
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graft/io/onnx/model.h"

namespace graft::models::graph {

// The names that a node reads: its inputs, and all that the nodes of its branches take as inputs.
void add_names_read(const io::onnx::Node& node, std::unordered_set<std::string>& names);

// The nodes of the branch that `condition` takes, behind which the node's outputs are given. Names
// of the branch get the node's name in front; its initializers join `constants`. bad_input for
// branches that do not fit the node.
std::vector<io::onnx::Node> take_branch(const io::onnx::Node& node, bool condition,
                                        std::unordered_map<std::string, Tensor>& constants);

}  // namespace graft::models::graph
