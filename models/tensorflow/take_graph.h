// The end of a translation: its graph with inputs and outputs.
#pragma once
#include <string>
#include <vector>

#include "graft/io/onnx/model.h"
#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {

// Outputs of four axes are images with their channels first, others in TensorFlow's order;
// `names`: what the file calls them.
io::onnx::Model take_graph(Translation& translation, const std::vector<Value>& inputs,
                           const std::vector<io::onnx::ElementType>& types,
                           const std::vector<Item>& outputs, const std::vector<std::string>& names);

}  // namespace graft::models::tensorflow
