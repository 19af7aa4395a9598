// Protobuf's wire format, written: the counterpart of wire.h.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace graft::io::onnx {

class WireWriter {
 public:
  void integer(uint32_t field, int64_t value) {
    tag(field, 0);
    varint(static_cast<uint64_t>(value));
  }
  void real32(uint32_t field, float value) {
    tag(field, 5);
    append(&value, sizeof value);
  }
  // Text, bytes or a message that was written before.
  void text(uint32_t field, std::string_view value) {
    begin_bytes(field, value.size());
    append(value.data(), value.size());
  }
  // The head of `size` bytes that the caller appends.
  void begin_bytes(uint32_t field, size_t size) {
    tag(field, 2);
    varint(size);
  }
  void append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  static_assert(std::endian::native == std::endian::little,
                "numbers are stored as the machine has them");
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(0x80 | (value & 0x7f));
    bytes_ += static_cast<char>(value);
  }
  void tag(uint32_t field, uint32_t wire_type) { varint(uint64_t{field} << 3 | wire_type); }

  std::string bytes_;
};

}  // namespace graft::io::onnx
