// Import of a Keras model of any shape: its configuration and variables as a graph that trains.
#pragma once
#include "graft/io/weights/weights.h"
#include "graft/models/import.h"

namespace graft::models {

// For files with keras::has_description.
Imported import_keras_graph(const io::WeightFile& file, const ImportOptions& options);

// Runs the graph that the file describes beside a network of graft's own that its names told, on
// the same random images. Fills in certificate.comparison, or says why that was left out; the
// sentence that tells how they differ, "" when they do not.
std::string difference_from_graph(const io::WeightFile& file, Imported& network,
                                  const ImportOptions& options);

}  // namespace graft::models
