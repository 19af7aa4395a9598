// The preprocessing that a graph does itself: what its first nodes make of its input, before any
// layer.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "graft/io/preprocess.h"
#include "graft/models/certificate.h"
#include "graft/models/graph/graph_source.h"

namespace graft::models {

struct GraphPreprocess {
  std::vector<std::string> nodes{};  // their titles; empty: the graph computes nothing of its own
  std::string end{};                 // the value behind them: what the first layer reads
  // Behind them a channel c of the input is pixel * factor[c] + shift[c].
  std::vector<double> factor{}, shift{};
};

// Follows Cast, Transpose, Sub, Add, Mul, Div by constants and reversed channels from the one input
// [N,C,H,W].
GraphPreprocess read_graph_preprocess(const GraphSource& source, int64_t channels);

// How images enter such a graph: as numbers of 0 to 255 or of 0 to 1, whichever of them the nodes
// bring to numbers of the usual size, in RGB unless the means are ImageNet's in the order of BGR.
// `integers`: the file's input is uint8, so 0 to 255. nullopt: neither fits.
std::optional<io::Preprocess> enter_graph(const GraphPreprocess& own, bool integers,
                                          std::array<int64_t, 2> sides, Finding& finding);

}  // namespace graft::models
