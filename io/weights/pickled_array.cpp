#include "graft/io/weights/pickled_array.h"

#include <algorithm>

namespace graft::io {
namespace {

constexpr std::pair<std::string_view, StoredType> kElements[] = {
    {"f8", StoredType::f64}, {"f4", StoredType::f32}, {"f2", StoredType::f16},
    {"i8", StoredType::i64}, {"i4", StoredType::i32}, {"i2", StoredType::i16},
    {"i1", StoredType::i8},  {"u8", StoredType::u64}, {"u4", StoredType::u32},
    {"u2", StoredType::u16}, {"u1", StoredType::u8},  {"b1", StoredType::boolean}};

const std::pair<std::string_view, StoredType>* element_named(std::string_view code) {
  const auto* found = std::find_if(std::begin(kElements), std::end(kElements),
                                   [&](const auto& e) { return e.first == code; });
  return found == std::end(kElements) ? nullptr : found;
}

// How many bytes UTF-8 of characters below 256 stands for.
size_t decoded_size(std::string_view text) {
  return text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
           return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
         }));
}

void decode(std::string_view text, std::span<std::byte> out) {
  size_t at = 0;
  for (std::byte& byte : out) {
    const auto c = static_cast<unsigned char>(text[at++]);
    if (c < 0x80) {
      byte = std::byte{c};
      continue;
    }
    GRAFT_CHECK((c == 0xC2 || c == 0xC3) && at < text.size(),
                "its data has a character that stands for no byte");
    const auto rest = static_cast<unsigned char>(text[at++]);
    byte = static_cast<std::byte>((c & 0x03U) << 6U | (rest & 0x3FU));
  }
}

}  // namespace

bool is_numeric_array(const Pickle& pickle, const PickleValue& array) {
  if (array.items.size() != 4) return false;
  const PickleKind element = pickle.at(array.items[1]).kind, data = pickle.at(array.items[3]).kind;
  return element == PickleKind::element &&
         (data == PickleKind::bytes || data == PickleKind::encoded || data == PickleKind::text);
}

StoredArray parse_array(const Pickle& pickle, const PickleValue& array, const ReadLimits& limits) {
  const PickleValue &shape = pickle.at(array.items[0]), &element = pickle.at(array.items[1]),
                    &order = pickle.at(array.items[2]), &data = pickle.at(array.items[3]);
  StoredArray result;
  const auto* type = element_named(element.text);
  GRAFT_CHECK(type != nullptr, "has elements that graft does not have");
  GRAFT_CHECK(shape.kind == PickleKind::tuple && shape.items.size() <= 64, "has a damaged shape");
  std::vector<int64_t> extents;
  for (const uint32_t item : shape.items) {
    GRAFT_CHECK(pickle.at(item).kind == PickleKind::integer && pickle.at(item).integer >= 0,
                "has a damaged shape");
    extents.push_back(pickle.at(item).integer);
  }
  result.type = type->second;
  result.shape = checked_shape(extents, limits);
  result.big_endian = element.integer == 1;
  result.fortran_order = order.kind == PickleKind::boolean && order.integer == 1;
  result.data = data.text;
  result.encoded = data.kind == PickleKind::encoded;
  const auto bytes =
      static_cast<int64_t>(result.encoded ? decoded_size(result.data) : result.data.size());
  GRAFT_CHECK(bytes == checked_mul(result.shape.numel(), stored_size(result.type)), "has ", bytes,
              " bytes for the shape ", result.shape);
  return result;
}

Tensor read_array(const StoredArray& array) {
  const auto size = static_cast<size_t>(stored_size(array.type));
  return read_elements(array.type, array.shape, [&](std::span<std::byte> out) {
    std::vector<std::byte> turned(array.fortran_order ? out.size() : 0);
    const std::span<std::byte> read = array.fortran_order ? std::span(turned) : out;
    if (array.encoded)
      decode(array.data, read);
    else if (!read.empty())
      std::memcpy(read.data(), array.data.data(), read.size());
    if (array.big_endian) swap_bytes(read, size);
    if (array.fortran_order) to_c_order(turned, out, array.shape, size);
  });
}

}  // namespace graft::io
