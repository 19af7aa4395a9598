// The graph that a file describes, in ONNX's terms, whatever the file: the one way from a file to a
// GraphModule.
#pragma once
#include <string>

#include "graft/core/base/export.h"
#include "graft/io/onnx/model.h"
#include "graft/io/weights/weights.h"

namespace graft::models {

// Whether files of this WeightFile::format are nothing but a graph with its weights: ONNX,
// PyTorch's export archives (.pt2), TensorFlow Lite's files and SavedModels.
GRAFT_API bool is_graph_format(const std::string& format);

// Whether the file says how its layers are connected: those, and Keras models with their
// configuration.
GRAFT_API bool describes_graph(const io::WeightFile& file);

// The graph of a file for which describes_graph() is true. bad_input in one sentence, with all
// names, for operators and layers that graft does not know.
GRAFT_API io::onnx::Model read_described_graph(const io::WeightFile& file);
// The same of any file; bad_input where it holds weights alone.
GRAFT_API io::onnx::Model read_graph_file(const std::string& path);

}  // namespace graft::models
