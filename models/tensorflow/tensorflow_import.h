// Import of TensorFlow's own files of a network: TensorFlow Lite's and SavedModels, run as the
// graphs that they are.
#pragma once
#include "graft/io/weights/weights.h"
#include "graft/models/import.h"

namespace graft::models {

bool is_tensorflow(const io::WeightFile& file);

// A SavedModel is named by its graph and by the index of its variables, which holds their
// checksums; other files by their own bytes.
std::string sha256_of_source(const io::WeightFile& file);

// For files with is_tensorflow.
Imported import_tensorflow(const io::WeightFile& file, const ImportOptions& options);

}  // namespace graft::models
