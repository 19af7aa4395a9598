// ONNX's element types as graft's.
#pragma once
#include "graft/io/onnx/model.h"

namespace graft::models::graph {

// The dtype in which graft holds elements of a type: int16, uint16 as int32; uint32, uint64 as
// int64. bad_input for types that graft has no tensors for (strings, complex numbers, 8 and 4 bits
// of floating point).
DType dtype_of_element(io::onnx::ElementType type);

}  // namespace graft::models::graph
