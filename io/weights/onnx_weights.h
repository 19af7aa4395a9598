// An ONNX model seen as a file of weights.
#pragma once
#include "graft/io/onnx/model.h"
#include "graft/io/weights/weights.h"

namespace graft::io {

WeightFile onnx_weights(onnx::Model model);

}  // namespace graft::io
