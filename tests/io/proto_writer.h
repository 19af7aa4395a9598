// A few lines of protobuf writing, so that tests can make ONNX files that no sound writer would.
#pragma once
#include <cstdint>
#include <string>

namespace graft::io {

class ProtoWriter {
 public:
  ProtoWriter& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(0x80 | (value & 0x7f));
    bytes_ += static_cast<char>(value);
    return *this;
  }
  ProtoWriter& tag(uint32_t field, uint32_t wire_type) {
    return varint(uint64_t{field} << 3 | wire_type);
  }
  ProtoWriter& integer(uint32_t field, int64_t value) {
    return tag(field, 0).varint(static_cast<uint64_t>(value));
  }
  ProtoWriter& text(uint32_t field, const std::string& value) {
    tag(field, 2).varint(value.size());
    bytes_ += value;
    return *this;
  }
  ProtoWriter& message(uint32_t field, const ProtoWriter& value) {
    return text(field, value.bytes_);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// TensorProto's fields before its data.
inline ProtoWriter tensor_proto(const std::string& name, int64_t type,
                                std::initializer_list<int64_t> dims) {
  ProtoWriter tensor;
  for (const int64_t extent : dims) tensor.integer(1, extent);
  return tensor.integer(2, type).text(8, name);
}

// A float32 tensor whose data is in another file; `offset` and `length` as text, "" for none.
inline ProtoWriter external_tensor(int64_t elements, const std::string& location,
                                   const std::string& offset = "", const std::string& length = "") {
  ProtoWriter tensor = tensor_proto("w", 1, {elements});
  const auto entry = [&](const char* key, const std::string& value) {
    if (!value.empty()) tensor.message(13, ProtoWriter().text(1, key).text(2, value));
  };
  entry("location", location);
  entry("offset", offset);
  entry("length", length);
  return tensor.integer(14, 1);
}

// ModelProto of IR version 8 with one graph.
inline std::string model_proto(const ProtoWriter& graph) {
  return ProtoWriter().integer(1, 8).message(7, graph).bytes();
}
inline std::string model_with_tensor(const ProtoWriter& tensor) {
  return model_proto(ProtoWriter().message(5, tensor));
}

}  // namespace graft::io
