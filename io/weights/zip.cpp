#include "graft/io/weights/zip.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "graft/io/checksums.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io {
namespace {

constexpr size_t chunk_bytes = 64 << 10;

uint32_t extend_crc(uint32_t crc, std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// zlib asks for its window when it first needs it.
void check_memory(int zlib_result) {
  if (zlib_result == Z_MEM_ERROR) fail(ErrorCode::resource, "out of memory while unpacking");
}

}  // namespace

struct ZipReader::Inflater {
  z_stream stream{};
  std::vector<std::byte> input = std::vector<std::byte>(chunk_bytes);
  bool ended = false;
  Inflater() { check_memory(::inflateInit2(&stream, -15) == Z_OK ? Z_OK : Z_MEM_ERROR); }
  ~Inflater() { ::inflateEnd(&stream); }
};

ZipReader::ZipReader(File& file, const ZipMember& member) : file_(file), member_(member) {
  if (member.deflated) inflater_ = std::make_unique<Inflater>();
}

ZipReader::~ZipReader() = default;

void ZipReader::read(std::span<std::byte> out) {
  GRAFT_CHECK(static_cast<int64_t>(out.size()) <= left(), "the zip member '", member_.name,
              "' is too short");
  if (out.empty()) return;
  if (inflater_)
    inflate_into(out);
  else
    file_.read_at(member_.data_offset + position_, out);
  position_ += static_cast<int64_t>(out.size());
  crc_ = extend_crc(crc_, out);
}

void ZipReader::inflate_into(std::span<std::byte> out) {
  z_stream& stream = inflater_->stream;
  while (!out.empty()) {
    if (stream.avail_in == 0) {
      const int64_t count = std::min<int64_t>(chunk_bytes, member_.compressed - file_position_);
      const auto input = std::span(inflater_->input).first(static_cast<size_t>(count));
      if (count > 0) file_.read_at(member_.data_offset + file_position_, input);
      file_position_ += count;
      stream.next_in = reinterpret_cast<Bytef*>(input.data());
      stream.avail_in = static_cast<uInt>(count);
    }
    const auto wanted = static_cast<uInt>(std::min<size_t>(out.size(), 1 << 30));
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = wanted;
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    out = out.subspan(wanted - stream.avail_out);
    inflater_->ended = result == Z_STREAM_END;
    const bool no_input = stream.avail_in == 0 && file_position_ == member_.compressed;
    const bool stuck = stream.avail_out > 0 && (result == Z_BUF_ERROR || no_input);
    check_memory(result);
    GRAFT_CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR,
                "the zip member '", member_.name, "' is damaged: its deflate data is not valid");
    GRAFT_CHECK(out.empty() || (!inflater_->ended && !stuck), "the zip member '", member_.name,
                "' unpacks to fewer bytes than it claims");
  }
}

void ZipReader::finish() {
  GRAFT_CHECK(left() == 0, "the zip member '", member_.name, "' has ", left(), " bytes too many");
  if (inflater_ &&
      !inflater_->ended) {  // one more byte of output means that more was packed than claimed
    z_stream& stream = inflater_->stream;
    while (!inflater_->ended) {
      std::byte extra;
      if (stream.avail_in == 0 && file_position_ < member_.compressed) {
        const int64_t count = std::min<int64_t>(chunk_bytes, member_.compressed - file_position_);
        file_.read_at(member_.data_offset + file_position_,
                      std::span(inflater_->input).first(static_cast<size_t>(count)));
        file_position_ += count;
        stream.next_in = reinterpret_cast<Bytef*>(inflater_->input.data());
        stream.avail_in = static_cast<uInt>(count);
      }
      stream.next_out = reinterpret_cast<Bytef*>(&extra);
      stream.avail_out = 1;
      const int result = ::inflate(&stream, Z_NO_FLUSH);
      check_memory(result);
      GRAFT_CHECK((result == Z_OK || result == Z_STREAM_END) && stream.avail_out == 1,
                  "the zip member '", member_.name, "' does not end where it claims");
      inflater_->ended = result == Z_STREAM_END;
    }
  }
  GRAFT_CHECK(
      !inflater_ || (inflater_->stream.avail_in == 0 && file_position_ == member_.compressed),
      "the zip member '", member_.name, "' has data after its end");
  GRAFT_CHECK(!verifies_checksums || crc_ == member_.crc, "the zip member '", member_.name,
              "' is damaged: its checksum differs");
}

uint32_t crc_of_range(File& file, int64_t offset, int64_t bytes) {
  std::vector<std::byte> buffer(static_cast<size_t>(std::min<int64_t>(bytes, 1 << 20)));
  uint32_t crc = 0;
  while (bytes > 0) {
    const auto part =
        std::span(buffer).first(static_cast<size_t>(std::min<int64_t>(bytes, 1 << 20)));
    file.read_at(offset, part);
    crc = extend_crc(crc, part);
    offset += static_cast<int64_t>(part.size());
    bytes -= static_cast<int64_t>(part.size());
  }
  return crc;
}

namespace {

// Appends little-endian fields.
class Record {
 public:
  template <class T>
  Record& put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Record& put_text(const std::string& value) {
    text_ += value;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

constexpr uint16_t fixed_time = 0,
                   fixed_date = 0x21;  // 1980-01-01 00:00: the same tensors give the same bytes

struct PlacedPart {
  const ZipPart* part;
  uint32_t crc = 0;
  uint64_t size = 0, offset = 0;
  bool is_large() const { return size >= 0xffffffff; }
};

std::string local_header(const PlacedPart& placed) {
  const std::string& name = placed.part->name;
  const bool large = placed.is_large();
  const auto size32 = static_cast<uint32_t>(large ? 0xffffffff : placed.size);
  Record record;
  record.put<uint32_t>(0x04034b50)
      .put<uint16_t>(large ? 45 : 20)
      .put<uint16_t>(0x800)
      .put<uint16_t>(0);
  record.put(fixed_time).put(fixed_date).put(placed.crc).put(size32).put(size32);
  record.put(static_cast<uint16_t>(name.size())).put<uint16_t>(large ? 20 : 0).put_text(name);
  if (large) record.put<uint16_t>(1).put<uint16_t>(16).put(placed.size).put(placed.size);
  return record.text();
}

std::string central_entry(const PlacedPart& placed) {
  const std::string& name = placed.part->name;
  const bool large = placed.is_large(), far = placed.offset >= 0xffffffff;
  const auto size32 = static_cast<uint32_t>(large ? 0xffffffff : placed.size);
  const auto extra = static_cast<uint16_t>((large ? 16 : 0) + (far ? 8 : 0));
  Record record;
  record.put<uint32_t>(0x02014b50)
      .put<uint16_t>(45)
      .put<uint16_t>(extra ? 45 : 20)
      .put<uint16_t>(0x800);
  record.put<uint16_t>(0).put(fixed_time).put(fixed_date).put(placed.crc).put(size32).put(size32);
  record.put(static_cast<uint16_t>(name.size())).put(static_cast<uint16_t>(extra ? extra + 4 : 0));
  record.put<uint16_t>(0).put<uint16_t>(0).put<uint16_t>(0).put<uint32_t>(0);
  record.put(static_cast<uint32_t>(far ? 0xffffffff : placed.offset)).put_text(name);
  if (extra) record.put<uint16_t>(1).put(extra);
  if (large) record.put(placed.size).put(placed.size);
  if (far) record.put(placed.offset);
  return record.text();
}

std::string end_records(uint64_t members, uint64_t bytes, uint64_t offset) {
  Record record;
  const bool large = members >= 0xffff || bytes >= 0xffffffff || offset >= 0xffffffff;
  if (large) {
    record.put<uint32_t>(0x06064b50)
        .put<uint64_t>(44)
        .put<uint16_t>(45)
        .put<uint16_t>(45)
        .put<uint32_t>(0);
    record.put<uint32_t>(0).put(members).put(members).put(bytes).put(offset);
    record.put<uint32_t>(0x07064b50).put<uint32_t>(0).put(offset + bytes).put<uint32_t>(1);
  }
  const auto members16 = static_cast<uint16_t>(large ? 0xffff : members);
  record.put<uint32_t>(0x06054b50).put<uint16_t>(0).put<uint16_t>(0).put(members16).put(members16);
  record.put(static_cast<uint32_t>(large ? 0xffffffff : bytes))
      .put(static_cast<uint32_t>(large ? 0xffffffff : offset));
  record.put<uint16_t>(0);
  return record.text();
}

}  // namespace

void write_zip(const std::string& path, const std::vector<ZipPart>& parts) {
  std::vector<std::string> headers;
  headers.reserve(parts.size() + 1);  // spans point into the strings
  std::vector<std::span<const std::byte>> output;
  std::string directory;
  uint64_t position = 0;
  for (const ZipPart& part : parts) {
    GRAFT_CHECK(part.name.size() < 0xffff, path, ": a name of ", part.name.size(),
                " bytes does not fit into a zip file");
    PlacedPart placed{.part = &part, .offset = position};
    for (const auto content : part.content) {
      placed.crc = extend_crc(placed.crc, content);
      placed.size += content.size();
    }
    headers.push_back(local_header(placed));
    output.push_back(std::as_bytes(std::span(headers.back())));
    output.insert(output.end(), part.content.begin(), part.content.end());
    position += headers.back().size() + placed.size;
    directory += central_entry(placed);
  }
  directory += end_records(parts.size(), directory.size(), position);
  output.push_back(std::as_bytes(std::span(directory)));
  write_file_atomically(path, output);
}

}  // namespace graft::io
