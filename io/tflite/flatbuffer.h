// FlatBuffers (https://flatbuffers.dev/internals/), read in place: every offset, vtable and vector
// is checked before it is followed.
#pragma once
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "graft/core/base/error.h"

namespace graft::io::flat {

using Bytes = std::span<const std::byte>;

// A T at byte `at`; bad_input where the buffer ends before.
template <class T>
T number_at(Bytes bytes, uint64_t at) {
  GRAFT_CHECK(at <= bytes.size() && sizeof(T) <= bytes.size() - at,
              "its FlatBuffer is damaged: a number at byte ", at, " of ", bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// A vector of numbers, or of offsets (size_t(index) -> where the element stands).
class Vector {
 public:
  Vector() = default;
  Vector(Bytes buffer, uint64_t at, size_t element_size);

  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  Bytes bytes() const { return elements_; }
  template <class T>
  T number(size_t i) const {
    return number_at<T>(elements_, i * sizeof(T));
  }

 private:
  friend class Table;
  Bytes buffer_, elements_;
  uint64_t at_ = 0;  // of the first element in the buffer
  size_t count_ = 0;
};

// A table; fields are told by their number in the schema, and one that is not there is its default.
class Table {
 public:
  Table() = default;
  static Table root(Bytes buffer);

  explicit operator bool() const { return !buffer_.empty(); }
  template <class T>
  T number(size_t field, T otherwise) const {
    const uint64_t at = position(field, sizeof(T));
    return at == 0 ? otherwise : number_at<T>(buffer_, at);
  }
  std::string_view text(size_t field) const;        // "" where it is not there
  Table table(size_t field) const;                  // false where it is not there
  Vector numbers(size_t field, size_t size) const;  // of elements of `size` bytes
  Vector tables(size_t field) const { return numbers(field, 4); }
  Table element(const Vector& tables, size_t i) const;
  std::string_view text_element(const Vector& texts, size_t i) const;

 private:
  Table(Bytes buffer, uint64_t at);
  uint64_t position(size_t field, size_t size) const;  // 0: it is not there
  std::optional<uint64_t> followed(size_t field) const;
  std::string_view text_at(uint64_t at) const;

  Bytes buffer_;
  uint64_t at_ = 0, vtable_ = 0;
  uint16_t vtable_size_ = 0, size_ = 0;
};

}  // namespace graft::io::flat
