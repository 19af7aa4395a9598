#include "graft/io/weights/npy.h"

#include <array>
#include <charconv>
#include <map>
#include <vector>

#include "graft/io/weights/formats.h"

namespace graft::io {
namespace {

// Reads the few forms of Python literals that a header consists of.
class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  bool accept(char c) {
    skip_space();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    GRAFT_CHECK(accept(c), "the npy header is damaged: '", c, "' was expected");
  }
  std::string_view quoted() {
    skip_space();
    GRAFT_CHECK(!text_.empty() && (text_[0] == '\'' || text_[0] == '"'),
                "the npy header is damaged, or its array "
                "has named fields, which are not supported");
    const char quote = text_[0];
    const size_t end = text_.find(quote, 1);
    GRAFT_CHECK(end != std::string_view::npos, "the npy header is damaged: a text does not end");
    const std::string_view content = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return content;
  }
  bool boolean() {
    skip_space();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    bad_input("the npy header is damaged: fortran_order is neither True nor False");
  }
  int64_t integer() {
    skip_space();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    GRAFT_CHECK(error == std::errc{} && value >= 0,
                "the npy header's shape has something other than a size");
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    if (!text_.empty() && text_[0] == 'L') text_.remove_prefix(1);  // Python 2's long
    return value;
  }
  bool at_end() {
    skip_space();
    return text_.empty();
  }

 private:
  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t'))
      text_.remove_prefix(1);
  }
  std::string_view text_;
};

void read_description(std::string_view text, NpyHeader& header) {
  static const std::map<std::string_view, StoredType> known = {
      {"f2", StoredType::f16}, {"f4", StoredType::f32}, {"f8", StoredType::f64},
      {"i1", StoredType::i8},  {"i2", StoredType::i16}, {"i4", StoredType::i32},
      {"i8", StoredType::i64}, {"u1", StoredType::u8},  {"u2", StoredType::u16},
      {"u4", StoredType::u32}, {"u8", StoredType::u64}, {"b1", StoredType::boolean},
      {"V2", StoredType::bf16}};
  GRAFT_CHECK(text.size() < 2 || text[1] != 'O', "an array of Python objects ('", text,
              "') would need code to be run");
  const auto found = known.find(text.substr(text.empty() ? 0 : 1));
  GRAFT_CHECK(found != known.end(), "the element type '", text.substr(0, 40), "' is not supported");
  // One byte has no order; of V2 NumPy does not know that it has one.
  const bool orderless = stored_size(found->second) == 1 || found->second == StoredType::bf16;
  GRAFT_CHECK(text[0] == '<' || text[0] == '>' || (orderless && text[0] == '|'),
              "the element type '", text, "' is not supported");
  header.type = found->second;
  header.big_endian = text[0] == '>' && stored_size(found->second) > 1;
}

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const ReadLimits& limits) {
  LiteralReader reader(text);
  NpyHeader header;
  bool has_type = false, has_order = false, has_shape = false;
  reader.expect('{');
  while (!reader.accept('}')) {
    const std::string_view key = reader.quoted();
    reader.expect(':');
    if (key == "descr" && !has_type) {
      read_description(reader.quoted(), header);
      has_type = true;
    } else if (key == "fortran_order" && !has_order) {
      header.fortran_order = reader.boolean();
      has_order = true;
    } else if (key == "shape" && !has_shape) {
      std::vector<int64_t> extents;
      reader.expect('(');
      while (!reader.accept(')')) {
        GRAFT_CHECK(extents.size() < 64, "the npy header's shape has too many axes");
        extents.push_back(reader.integer());
        if (!reader.accept(',')) {
          reader.expect(')');
          break;
        }
      }
      header.shape = checked_shape(extents, limits);
      has_shape = true;
    } else {
      bad_input("the npy header has the key '", key.substr(0, 40),
                "' twice, or should not have it");
    }
    if (!reader.accept(',')) {
      reader.expect('}');
      break;
    }
  }
  GRAFT_CHECK(reader.at_end() && has_type && has_order && has_shape, "the npy header is damaged");
  return header;
}

Tensor read_npy_stream(int64_t bytes, FunctionRef<void(std::span<std::byte>)> read,
                       const ReadLimits& limits, NpyHeader& header) {
  GRAFT_CHECK(bytes >= 10, "is truncated: ", bytes, " bytes cannot be an npy array");
  std::array<std::byte, 12> start;
  read(std::span(start).first(8));
  GRAFT_CHECK(std::memcmp(start.data(), "\x93NUMPY", 6) == 0, "is not an npy array");
  const int version = std::to_integer<int>(start[6]);
  GRAFT_CHECK(version >= 1 && version <= 3 && start[7] == std::byte{0}, "has npy version ", version,
              ".", std::to_integer<int>(start[7]), ", 1.0 to 3.0 are known");
  const size_t length_bytes = version == 1 ? 2 : 4;
  GRAFT_CHECK(bytes >= static_cast<int64_t>(8 + length_bytes),
              "is truncated inside its npy header");
  read(std::span(start).subspan(8, length_bytes));
  const int64_t header_bytes = version == 1 ? int64_t{load<uint16_t>(std::span(start).subspan(8))}
                                            : int64_t{load<uint32_t>(std::span(start).subspan(8))};
  GRAFT_CHECK(header_bytes <= limits.npy_header_bytes, "has an npy header of ", header_bytes,
              " bytes, the limit is ", limits.npy_header_bytes);
  const int64_t payload = bytes - 8 - static_cast<int64_t>(length_bytes) - header_bytes;
  GRAFT_CHECK(payload >= 0, "is truncated inside its npy header");
  std::string text(static_cast<size_t>(header_bytes), '\0');
  read(std::as_writable_bytes(std::span(text)));
  header = parse_npy_header(text, limits);
  const int64_t needed = checked_mul(header.shape.numel(), stored_size(header.type));
  GRAFT_CHECK(payload >= needed, "is truncated: shape ", header.shape, " needs ", needed,
              " bytes, there are ", payload);
  GRAFT_CHECK(payload == needed, "has ", payload - needed, " bytes after its array");
  return read_elements(header.type, header.shape, [&](std::span<std::byte> out) {
    const auto size = static_cast<size_t>(stored_size(header.type));
    const bool columns = header.fortran_order && header.shape.rank() >= 2;
    std::vector<std::byte> turned(columns ? out.size() : 0);
    const std::span<std::byte> raw = columns ? std::span(turned) : out;
    read(raw);
    if (header.big_endian) swap_bytes(raw, size);
    if (columns) to_c_order(turned, out, header.shape, size);
  });
}

std::string npy_header(const Tensor& tensor) {
  static const std::map<DType, const char*> descriptions = {
      {DType::f64, "<f8"}, {DType::f32, "<f4"}, {DType::f16, "<f2"}, {DType::i64, "<i8"},
      {DType::i32, "<i4"}, {DType::i8, "|i1"},  {DType::u8, "|u1"},  {DType::boolean, "|b1"}};
  const auto found = descriptions.find(tensor.dtype());
  GRAFT_CHECK(found != descriptions.end(), "the NPY format has no ", name_of(tensor.dtype()),
              ": write safetensors, or convert to float32 first");
  std::string text = str("{'descr': '", found->second, "', 'fortran_order': False, 'shape': (",
                         join(tensor.shape().extents()), tensor.rank() == 1 ? ",), }" : "), }");
  text.resize(static_cast<size_t>(round_up(static_cast<int64_t>(text.size()) + 11, 64)) - 11, ' ');
  text += '\n';
  const auto length = static_cast<uint16_t>(text.size());
  std::string header("\x93NUMPY\x01\x00", 8);
  header.append(reinterpret_cast<const char*>(&length), 2);
  return header + text;
}

Tensor read_npy(File& file, const ReadLimits& limits) {
  return in_context(file.path(), [&] {
    int64_t position = 0;
    NpyHeader header;
    return read_npy_stream(
        file.size(),
        [&](std::span<std::byte> out) {
          if (!out.empty()) file.read_at(position, out);
          position += static_cast<int64_t>(out.size());
        },
        limits, header);
  });
}

Tensor read_npy(const std::string& path, const ReadLimits& limits) {
  return read_npy(*file_system().open_read(path), limits);
}

}  // namespace graft::io
