// TensorProto: raw bytes, typed fields or external data, checked against the shape before memory is
// taken.
#include <array>
#include <charconv>
#include <cstring>

#include "graft/io/onnx/parser.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io::onnx {
namespace {

// Field numbers of onnx.proto's TensorProto.
enum Field : uint32_t {
  dims = 1,
  data_type = 2,
  segment = 3,
  float_data = 4,
  int32_data = 5,
  string_data = 6,
  int64_data = 7,
  name = 8,
  raw_data = 9,
  double_data = 10,
  uint64_data = 11,
  external_data = 13,
  data_location = 14,
};

struct ExternalPlace {
  std::string location;
  int64_t offset = 0;
  int64_t length = -1;
};

struct TensorFields {
  NamedTensor tensor;
  std::optional<Bytes> raw;
  bool is_external = false;
  ExternalPlace place;
  std::array<int64_t, 16> counts{};  // elements in each typed field, by field number
};

std::optional<StoredType> stored_type_of(ElementType type) {
  switch (type) {
    case ElementType::float32: return StoredType::f32;
    case ElementType::float64: return StoredType::f64;
    case ElementType::float16: return StoredType::f16;
    case ElementType::bfloat16: return StoredType::bf16;
    case ElementType::int64: return StoredType::i64;
    case ElementType::int32: return StoredType::i32;
    case ElementType::int16: return StoredType::i16;
    case ElementType::int8: return StoredType::i8;
    case ElementType::uint64: return StoredType::u64;
    case ElementType::uint32: return StoredType::u32;
    case ElementType::uint16: return StoredType::u16;
    case ElementType::uint8: return StoredType::u8;
    case ElementType::boolean: return StoredType::boolean;
    default: return std::nullopt;
  }
}

Field typed_field(StoredType type) {
  switch (type) {
    case StoredType::f32: return float_data;
    case StoredType::f64: return double_data;
    case StoredType::i64: return int64_data;
    case StoredType::u64:
    case StoredType::u32: return uint64_data;
    default: return int32_data;
  }
}

int64_t parse_number(const std::string& text, const char* what) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  GRAFT_CHECK(error == std::errc{} && end == text.data() + text.size() && value >= 0,
              "external data has the ", what, " '", text.substr(0, 40), "'");
  return value;
}

void parse_external_entry(Bytes bytes, ParseContext& context, ExternalPlace& place) {
  WireReader reader(bytes);
  std::string key, value;
  while (reader.next()) {
    if (reader.field() == 1) key = take_text(reader, context);
    if (reader.field() == 2) value = take_text(reader, context);
  }
  if (key == "location") place.location = value;
  if (key == "offset") place.offset = parse_number(value, "offset");
  if (key == "length") place.length = parse_number(value, "length");
}

void parse_fields(Bytes bytes, ParseContext& context, TensorFields& fields) {
  NamedTensor& tensor = fields.tensor;
  WireReader reader(bytes);
  while (reader.next()) {
    int64_t& count = fields.counts[reader.field() < 16 ? reader.field() : 0];
    switch (reader.field()) {
      case dims:
        reader.integers([&](int64_t extent) {
          GRAFT_CHECK(tensor.dims.size() < 64 && extent >= 0, "has a damaged shape");
          tensor.dims.push_back(extent);
        });
        break;
      case data_type:
        tensor.type = static_cast<ElementType>(static_cast<int32_t>(reader.integer()));
        break;
      case segment: bad_input("is stored in segments, which is not supported");
      case float_data: reader.fixed<float>([&](float) { ++count; }); break;
      case double_data: reader.fixed<double>([&](double) { ++count; }); break;
      case int32_data:
      case int64_data:
      case uint64_data: reader.integers([&](int64_t) { ++count; }); break;
      case string_data: tensor.strings.push_back(take_text(reader, context)); break;
      case name: tensor.name = take_text(reader, context); break;
      case raw_data: fields.raw = reader.bytes(); break;
      case external_data: parse_external_entry(reader.bytes(), context, fields.place); break;
      case data_location: fields.is_external = reader.integer() == 1; break;
      default: break;
    }
  }
}

template <class T>
void put(std::span<std::byte>& out, T value) {
  std::memcpy(out.data(), &value, sizeof(T));
  out = out.subspan(sizeof(T));
}

// int32_data holds every type of at most 32 bits, 16-bit floats by their bits.
void put_narrow(std::span<std::byte>& out, int64_t value, StoredType type) {
  const int64_t bits = 8 * stored_size(type);
  const bool is_signed =
      type == StoredType::i8 || type == StoredType::i16 || type == StoredType::i32;
  const int64_t low = is_signed ? -(int64_t{1} << (bits - 1)) : 0;
  const int64_t high = is_signed ? -low : int64_t{1} << bits;
  GRAFT_CHECK(value >= low && value < high, "has the value ", value,
              ", which its element type cannot hold");
  if (bits == 8) return put(out, static_cast<uint8_t>(value));
  if (bits == 16) return put(out, static_cast<uint16_t>(value));
  put(out, static_cast<int32_t>(value));
}

// Second pass over the message: the counts are known to fit.
void fill_from_typed_fields(Bytes bytes, StoredType type, std::span<std::byte> out) {
  WireReader reader(bytes);
  while (reader.next()) {
    if (reader.field() != typed_field(type)) continue;
    switch (typed_field(type)) {
      case float_data: reader.fixed<float>([&](float value) { put(out, value); }); break;
      case double_data: reader.fixed<double>([&](double value) { put(out, value); }); break;
      case int64_data: reader.integers([&](int64_t value) { put(out, value); }); break;
      case uint64_data:
        reader.integers([&](int64_t value) {
          if (type == StoredType::u64) return put(out, value);
          GRAFT_CHECK(value >= 0 && value <= 0xffffffff,
                      "has a value that its element type cannot hold");
          put(out, static_cast<uint32_t>(value));
        });
        break;
      default: reader.integers([&](int64_t value) { put_narrow(out, value, type); }); break;
    }
  }
}

void check_external(const TensorFields& fields, int64_t needed, ParseContext& context) {
  const ExternalPlace& place = fields.place;
  GRAFT_CHECK(context.external != nullptr,
              "keeps its data in another file, which is not read here");
  GRAFT_CHECK(!place.location.empty(), "says that its data is in another file, but not in which");
  GRAFT_CHECK(place.location.find("_ORT_MEM_ADDR_") == std::string::npos,
              "refers to memory of another program");
  GRAFT_CHECK(place.length < 0 || place.length == needed, "needs ", needed,
              " bytes, its external data has ", place.length);
  const int64_t size = context.external->size(place.location);
  GRAFT_CHECK(needed <= size && place.offset <= size - needed, "its external data '",
              place.location.substr(0, 200), "' is truncated: ", needed, " bytes at ", place.offset,
              " are outside of ", size);
  context.external->charge(needed);
}

void read_value(TensorFields& fields, Bytes bytes, ParseContext& context) {
  NamedTensor& tensor = fields.tensor;
  const Shape shape = checked_shape(tensor.dims, context.limits);
  if (tensor.type == ElementType::string) {
    GRAFT_CHECK(static_cast<int64_t>(tensor.strings.size()) == shape.numel(), "has ",
                tensor.strings.size(), " texts for shape ", shape);
    return;
  }
  const std::optional<StoredType> type = stored_type_of(tensor.type);
  GRAFT_CHECK(type.has_value(), "has the element type ", name_of(tensor.type),
              ", which is not supported");
  const int64_t needed = checked_mul(shape.numel(), stored_size(*type));
  const auto raw_bytes = fields.raw ? static_cast<int64_t>(fields.raw->size()) : 0;
  const int64_t count = fields.counts[typed_field(*type)];
  if (fields.is_external)
    check_external(fields, needed, context);
  else if (fields.raw && (raw_bytes > 0 || count == 0))
    GRAFT_CHECK(raw_bytes == needed, "has ", raw_bytes, " bytes, shape ", shape, " of ",
                name_of(*type), " needs ", needed);
  else
    GRAFT_CHECK(count == shape.numel(), "has ", count, " values for shape ", shape);
  context.widened_tensors += is_widened(*type);
  tensor.value = read_elements(*type, shape, [&](std::span<std::byte> out) {
    if (out.empty()) return;
    if (fields.is_external)
      context.external->read(fields.place.location, fields.place.offset, out);
    else if (raw_bytes > 0)
      std::memcpy(out.data(), fields.raw->data(), out.size());
    else
      fill_from_typed_fields(bytes, *type, out);
  });
}

}  // namespace

std::string name_of(ElementType type) {
  if (const auto stored = stored_type_of(type)) return std::string(io::name_of(*stored));
  switch (type) {
    case ElementType::undefined: return "undefined";
    case ElementType::string: return "string";
    case ElementType::complex64: return "complex64";
    case ElementType::complex128: return "complex128";
    default: break;
  }
  static constexpr const char* later[] = {
      "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",
      "int4",         "float4e2m1",     "float8e8m0", "uint2",          "int2"};
  const auto number = static_cast<int32_t>(type);
  return number >= 17 && number <= 26 ? later[number - 17] : str("number ", number);
}

std::string take_text(WireReader& reader, ParseContext& context) {
  const Bytes content = reader.bytes();
  context.budget.charge(static_cast<int64_t>(sizeof(std::string) + content.size()));
  return {reinterpret_cast<const char*>(content.data()), content.size()};
}

NamedTensor parse_tensor_proto(Bytes bytes, ParseContext& context, const std::string& owner) {
  GRAFT_CHECK(++context.tensors <= context.limits.tensors, "has more than ", context.limits.tensors,
              " tensors");
  context.budget.charge(sizeof(NamedTensor) + 300);
  TensorFields fields;
  try {
    parse_fields(bytes, context, fields);
    read_value(fields, bytes, context);
  } catch (const Error& error) {  // the name is known once it has been read
    const std::string& label = fields.tensor.name;
    throw error.with_context(label.empty() ? owner : str("tensor '", label.substr(0, 200), "'"));
  }
  return std::move(fields.tensor);
}

}  // namespace graft::io::onnx
