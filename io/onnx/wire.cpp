#include "graft/io/onnx/wire.h"

namespace graft::io::onnx {

bool WireReader::next() {
  if (pending_) skip();
  if (rest_.empty()) return false;
  const uint64_t tag = take_varint(rest_);
  GRAFT_CHECK(tag >> 3 >= 1 && tag >> 3 < (1u << 29), "its protobuf is damaged: field number ",
              tag >> 3);
  const auto type = static_cast<int>(tag & 7);
  GRAFT_CHECK(type != 3 && type != 4 && type <= 5, "its protobuf is damaged: wire type ", type);
  field_ = static_cast<uint32_t>(tag >> 3);
  type_ = static_cast<WireType>(type);
  pending_ = true;
  return true;
}

uint64_t WireReader::take_varint(Bytes& from) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    GRAFT_CHECK(!from.empty(), "is truncated, or its protobuf is damaged: a number is cut off");
    const auto byte = std::to_integer<uint64_t>(from[0]);
    from = from.subspan(1);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  bad_input("its protobuf is damaged: a number has more than ten bytes");
}

Bytes WireReader::take(uint64_t count) {
  GRAFT_CHECK(count <= rest_.size(), "is truncated, or its protobuf is damaged: ", count,
              " bytes wanted, ", rest_.size(), " left");
  const Bytes part = rest_.first(count);
  rest_ = rest_.subspan(count);
  pending_ = false;
  return part;
}

Bytes WireReader::take_fixed(WireType type, size_t count) {
  GRAFT_CHECK(type_ == type, "its protobuf is damaged: field ", field_,
              " has another type than expected");
  return take(count);
}

int64_t WireReader::integer() {
  GRAFT_CHECK(type_ == WireType::varint, "its protobuf is damaged: field ", field_,
              " has another type than expected");
  pending_ = false;
  return static_cast<int64_t>(take_varint(rest_));
}

float WireReader::real32() {
  float value;
  std::memcpy(&value, take_fixed(WireType::fixed32, 4).data(), 4);
  return value;
}

Bytes WireReader::bytes() {
  GRAFT_CHECK(type_ == WireType::bytes, "its protobuf is damaged: field ", field_,
              " has another type than expected");
  return take(take_varint(rest_));
}

std::string WireReader::text() {
  const Bytes content = bytes();
  return {reinterpret_cast<const char*>(content.data()), content.size()};
}

void WireReader::skip() {
  switch (type_) {
    case WireType::varint: integer(); return;
    case WireType::fixed64: take(8); return;
    case WireType::fixed32: take(4); return;
    default: bytes(); return;
  }
}

}  // namespace graft::io::onnx
