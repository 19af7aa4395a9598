// Import of an ONNX file as the graph that it is: an image network for training, prediction and
// features.
#pragma once
#include "graft/models/import.h"

namespace graft::models {

// Whether a graph's exporter may have folded batch norms into convolutions, whose biases then hold
// what is left of them.
enum class FoldedNorms : unsigned char { possible, none };

// bad_input for graphs that do not take one float32 image batch [N,C,H,W], for a cut that is no
// value through which all data flows, and for a classifier that cannot be told (naming the
// candidates) when the cut is auto.
GRAFT_API Imported import_graph(const io::onnx::Model& model, const ImportOptions& options,
                                FoldedNorms folded = FoldedNorms::possible);

// The model with a head for `classes` classes instead of its own, initialised from `seed`: graphs
// are cut in front of their classifier.
GRAFT_API void replace_head(Model& model, int64_t classes, uint64_t seed);
// The model without its classifier: what stands before it, pooled where it is spatial. Native
// networks stay as they are; their last stage is the head.
GRAFT_API void remove_classifier(Model& model);

}  // namespace graft::models
