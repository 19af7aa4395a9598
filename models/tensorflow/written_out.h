// A SavedModel's graph with its calls of functions written out.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "graft/io/saved_model/model.h"

namespace graft::models::tensorflow {

// A node under a name of its own; its inputs are "name:0" of other nodes.
struct WrittenNode {
  const io::saved_model::Node* node = nullptr;
  std::string name{};
  std::vector<std::string> inputs{};
};

struct WrittenGraph {
  std::vector<WrittenNode> nodes{};    // what `outputs` need, in an order in which they can run
  std::vector<std::string> outputs{};  // of each that was asked for: "name:0"
};

// What the values `wanted` ("node:0") of the main graph need. bad_input for cycles, functions that
// call themselves, values that nothing gives, and graphs that become larger than all use.
WrittenGraph write_out(const io::saved_model::Model& model, const std::vector<std::string>& wanted);

// Each variable's key in the checkpoint, by its node: as the graph itself restores them.
std::map<std::string, std::string> checkpoint_keys(const io::saved_model::Model& model);

}  // namespace graft::models::tensorflow
