// Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), read in place and
// bounds-checked.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "graft/core/base/error.h"

namespace graft::io::onnx {

using Bytes = std::span<const std::byte>;

enum class WireType : uint8_t {
  varint = 0,
  fixed64 = 1,
  bytes = 2,
  group_begin = 3,
  group_end = 4,
  fixed32 = 5
};

// Walks one message's fields: while (reader.next()) switch (reader.field()) { case 1: x =
// reader.integer(); ... }. A field whose value is not taken is skipped by the next next().
class WireReader {
 public:
  explicit WireReader(Bytes message) : rest_(message) {}

  // False at the message's end. bad_input for damaged data; groups, gone from protobuf since 2008,
  // are refused.
  bool next();
  uint32_t field() const { return field_; }

  // The current field's value; bad_input when its wire type is another one.
  int64_t integer();
  float real32();
  Bytes bytes();
  std::string text();

  // A repeated number, packed or not: f is called once per element.
  template <class F>
  void integers(F&& f) {
    if (type_ != WireType::bytes) return f(integer());
    for (Bytes packed = bytes(); !packed.empty();) f(static_cast<int64_t>(take_varint(packed)));
  }
  template <class T, class F>
  void fixed(F&& f) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    const bool is_packed = type_ == WireType::bytes;
    Bytes values =
        is_packed ? bytes()
                  : take_fixed(sizeof(T) == 4 ? WireType::fixed32 : WireType::fixed64, sizeof(T));
    GRAFT_CHECK(values.size() % sizeof(T) == 0,
                "its protobuf is damaged: a list of numbers is cut off");
    for (; !values.empty(); values = values.subspan(sizeof(T))) {
      T value;
      std::memcpy(&value, values.data(), sizeof(T));
      f(value);
    }
  }

 private:
  static uint64_t take_varint(Bytes& from);
  Bytes take_fixed(WireType type, size_t count);
  Bytes take(uint64_t count);
  void skip();

  Bytes rest_;
  uint32_t field_ = 0;
  WireType type_ = WireType::varint;
  bool pending_ = false;  // the current field's value has not been taken
};

}  // namespace graft::io::onnx
