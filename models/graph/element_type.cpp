#include "graft/models/graph/element_type.h"

namespace graft::models::graph {

DType dtype_of_element(io::onnx::ElementType type) {
  using enum io::onnx::ElementType;
  switch (type) {
    case float32: return DType::f32;
    case float64: return DType::f64;
    case float16: return DType::f16;
    case bfloat16: return DType::bf16;
    case int64:
    case uint64:
    case uint32: return DType::i64;
    case int32:
    case int16:
    case uint16: return DType::i32;
    case int8: return DType::i8;
    case uint8: return DType::u8;
    case boolean: return DType::boolean;
    default: bad_input("elements of the type ", io::onnx::name_of(type), " are not supported");
  }
}

}  // namespace graft::models::graph
