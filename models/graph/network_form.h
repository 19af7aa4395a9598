// What an import makes of a graph before it is a network: float32 throughout, and training's
// behavior left to graft.
#pragma once
#include <string>
#include <vector>

#include "graft/models/graph/dequantize.h"

namespace graft::models::graph {

// Nodes in the order in which they can run, where the file's order is not one; true when they were
// moved. Nodes in a cycle stay at the end.
bool sort_nodes(std::vector<io::onnx::Node>& nodes, const Constants& constants,
                const std::vector<std::string>& inputs);

// BatchNormalization and Dropout that an exporter wrote as they behave in training become the plain
// ones, which behave so while graft trains. A note for each kind.
void use_own_modes(std::vector<io::onnx::Node>& nodes, const std::vector<std::string>& outputs,
                   Constants& constants, std::vector<std::string>& notes);

// float16 and bfloat16 (with `doubles` float64 too) constants, Casts and attributes as float32.
// How many there were.
int64_t widen(std::vector<io::onnx::Node>& nodes, Constants& constants, bool doubles);

}  // namespace graft::models::graph
