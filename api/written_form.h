// The form that a network is written in, by the extension of the file's name.
#pragma once
#include <string>

#include "graft/models/model_file.h"

namespace graft {

// Error(usage) unless the name ends in .safetensors, .npz or .onnx.
GRAFT_API void check_written_form(const std::string& path);
// .safetensors: a model of graft, with its card; .npz: the tensors alone; .onnx: a graph for other
// programs. Old file or new, never half.
GRAFT_API void write_by_extension(const std::string& path, const models::Model& model);

}  // namespace graft
