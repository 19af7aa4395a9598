#include "graft/io/tflite/flatbuffer.h"

namespace graft::io::flat {
namespace {

// Where the offset that stands at `at` leads: always forward.
uint64_t follow(Bytes buffer, uint64_t at) {
  const auto offset = number_at<uint32_t>(buffer, at);
  const uint64_t target = at + offset;
  GRAFT_CHECK(offset >= 4 && target < buffer.size(), "its FlatBuffer is damaged: an offset of ",
              offset, " at byte ", at, " of ", buffer.size());
  return target;
}

}  // namespace

Vector::Vector(Bytes buffer, uint64_t at, size_t element_size) : buffer_(buffer), at_(at + 4) {
  count_ = number_at<uint32_t>(buffer, at);
  GRAFT_CHECK(count_ <= (buffer.size() - at_) / element_size,
              "its FlatBuffer is damaged: a list of ", count_, " elements at byte ", at, " of ",
              buffer.size());
  elements_ = buffer.subspan(at_, count_ * element_size);
}

Table Table::root(Bytes buffer) {
  GRAFT_CHECK(buffer.size() >= 8, "is truncated: ", buffer.size(), " bytes");
  return Table(buffer, follow(buffer, 0));
}

Table::Table(Bytes buffer, uint64_t at) : buffer_(buffer), at_(at) {
  const int64_t vtable = static_cast<int64_t>(at) - number_at<int32_t>(buffer, at);
  GRAFT_CHECK(vtable >= 4 && static_cast<uint64_t>(vtable) < buffer.size(),
              "its FlatBuffer is damaged: a table at byte ", at, " without a list of its fields");
  vtable_ = static_cast<uint64_t>(vtable);
  vtable_size_ = number_at<uint16_t>(buffer, vtable_);
  size_ = number_at<uint16_t>(buffer, vtable_ + 2);
  GRAFT_CHECK(vtable_size_ >= 4 && vtable_size_ % 2 == 0 &&
                  vtable_size_ <= buffer.size() - vtable_ && size_ >= 4 &&
                  size_ <= buffer.size() - at,
              "its FlatBuffer is damaged: the table at byte ", at);
}

uint64_t Table::position(size_t field, size_t size) const {
  const size_t slot = 4 + 2 * field;
  if (buffer_.empty() || slot + 2 > vtable_size_) return 0;
  const auto offset = number_at<uint16_t>(buffer_, vtable_ + slot);
  if (offset == 0) return 0;
  GRAFT_CHECK(offset >= 4 && offset <= size_ && size <= static_cast<size_t>(size_ - offset),
              "its FlatBuffer is damaged: field ", field, " of the table at byte ", at_);
  return at_ + offset;
}

std::optional<uint64_t> Table::followed(size_t field) const {
  const uint64_t at = position(field, 4);
  if (at == 0) return std::nullopt;
  return follow(buffer_, at);
}

std::string_view Table::text_at(uint64_t at) const {
  const Vector text(buffer_, at, 1);
  return {reinterpret_cast<const char*>(text.bytes().data()), text.size()};
}

std::string_view Table::text(size_t field) const {
  const auto at = followed(field);
  return at ? text_at(*at) : std::string_view();
}

Table Table::table(size_t field) const {
  const auto at = followed(field);
  return at ? Table(buffer_, *at) : Table();
}

Vector Table::numbers(size_t field, size_t size) const {
  const auto at = followed(field);
  return at ? Vector(buffer_, *at, size) : Vector();
}

Table Table::element(const Vector& tables, size_t i) const {
  GRAFT_CHECK(i < tables.size(), "its FlatBuffer is damaged: element ", i, " of a list of ",
              tables.size());
  return Table(buffer_, follow(buffer_, tables.at_ + 4 * i));
}

std::string_view Table::text_element(const Vector& texts, size_t i) const {
  GRAFT_CHECK(i < texts.size(), "its FlatBuffer is damaged: element ", i, " of a list of ",
              texts.size());
  return text_at(follow(buffer_, texts.at_ + 4 * i));
}

}  // namespace graft::io::flat
