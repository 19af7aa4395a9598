// Parts of TensorFlow's protobuf messages that its graphs and checkpoints share.
#pragma once
#include <optional>
#include <vector>

#include "graft/io/onnx/wire.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io::saved_model {

using onnx::Bytes;
using onnx::WireReader;

// DataType as graft stores it; nullopt: texts, resources and what else is no number.
inline std::optional<StoredType> stored_type_of(int64_t type) {
  switch (type) {
    case 1: return StoredType::f32;
    case 2: return StoredType::f64;
    case 3: return StoredType::i32;
    case 4: return StoredType::u8;
    case 5: return StoredType::i16;
    case 6: return StoredType::i8;
    case 9: return StoredType::i64;
    case 10: return StoredType::boolean;
    case 14: return StoredType::bf16;
    case 17: return StoredType::u16;
    case 19: return StoredType::f16;
    case 22: return StoredType::u32;
    case 23: return StoredType::u64;
    default: return std::nullopt;
  }
}

struct ProtoShape {
  std::vector<int64_t> dims{};
  bool known = true;
};

// TensorShapeProto.
inline ProtoShape read_proto_shape(Bytes message) {
  ProtoShape shape;
  for (WireReader reader(message); reader.next();) {
    if (reader.field() == 3) shape.known = reader.integer() == 0;
    if (reader.field() != 2) continue;
    GRAFT_CHECK(shape.dims.size() < 64, "a shape of more than 64 axes");
    int64_t size = 0;
    for (WireReader dim(reader.bytes()); dim.next();)
      if (dim.field() == 1) size = dim.integer();
    shape.dims.push_back(size);
  }
  return shape;
}

}  // namespace graft::io::saved_model
