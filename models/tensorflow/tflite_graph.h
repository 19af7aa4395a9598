// TensorFlow Lite's models as the ONNX graphs that they stand for: the one way into a GraphModule.
#pragma once
#include <string>
#include <utility>

#include "graft/core/base/export.h"
#include "graft/io/onnx/model.h"
#include "graft/io/tflite/model.h"

namespace graft::models {

// Images come channels first, weights turned once; quantized values are float ones between
// QuantizeLinear and DequantizeLinear, as in ONNX's QDQ form. bad_input in one sentence naming
// every operator that graft does not know, and for what mixes the images of a batch.
GRAFT_API io::onnx::Model onnx_graph(const io::tflite::Model& model);

// The least and the most that the image's numbers can be, where the file quantizes its input; else
// {0, 0}.
GRAFT_API std::pair<double, double> input_range(const io::tflite::Model& model);

}  // namespace graft::models
