// Graphs whose images have their channels last, as TensorFlow's exporters write them: [N,H,W,C] in,
// [N,H,W,C] maps out.
#pragma once
#include "graft/models/graph/graph_source.h"

namespace graft::models {

// When the graph's one input is declared [N,H,W,1 or 3] it becomes [N,C,H,W]: the Transpose that
// turns it goes, or one that turns it back is put in front. A Transpose to channels last at the
// graph's end goes too. Noted in source.notes.
void take_channels_first(GraphSource& source);

}  // namespace graft::models
