// Zip's directory (PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3), read strictly.
#include <algorithm>
#include <set>

#include "graft/io/weights/stored_type.h"
#include "graft/io/weights/zip.h"

namespace graft::io {
namespace {

constexpr uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50,
                   end_signature = 0x06054b50;
constexpr uint32_t end64_signature = 0x06064b50, locator64_signature = 0x07064b50;
constexpr int64_t end_bytes = 22, locator64_bytes = 20, end64_bytes = 56, central_bytes = 46,
                  local_bytes = 30;
constexpr int64_t central_limit = 256 << 20;

// Fields of a record, in order.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  T next() {
    GRAFT_CHECK(bytes_.size() >= sizeof(T), "the zip directory is cut off");
    const T value = load<T>(bytes_);
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  int64_t next_size() {  // 8 bytes
    const auto value = next<uint64_t>();
    GRAFT_CHECK(value <= static_cast<uint64_t>(INT64_MAX), "the zip directory has the size ",
                value);
    return static_cast<int64_t>(value);
  }
  std::span<const std::byte> take(size_t count) {
    GRAFT_CHECK(bytes_.size() >= count, "the zip directory is cut off");
    const auto part = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return part;
  }
  bool empty() const { return bytes_.empty(); }
  size_t size() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

struct DirectoryPlace {
  int64_t offset = 0, bytes = 0, members = 0;
  int64_t end = 0;  // where the end records start
};

std::vector<std::byte> read_range(File& file, int64_t offset, int64_t bytes) {
  std::vector<std::byte> buffer(static_cast<size_t>(bytes));
  file.read_at(offset, buffer);
  return buffer;
}

// The zip64 end record, when its locator stands right before the plain end record at `end_offset`.
bool read_end64(File& file, int64_t end_offset, DirectoryPlace& place) {
  if (end_offset < locator64_bytes + end64_bytes) return false;
  const auto locator = read_range(file, end_offset - locator64_bytes, locator64_bytes);
  Fields fields(locator);
  if (fields.next<uint32_t>() != locator64_signature) return false;
  GRAFT_CHECK(fields.next<uint32_t>() == 0, "is one part of a split zip archive");
  const int64_t offset = fields.next_size();
  GRAFT_CHECK(fields.next<uint32_t>() <= 1, "is one part of a split zip archive");
  GRAFT_CHECK(offset <= end_offset - locator64_bytes - end64_bytes,
              "the zip64 end record lies outside of the file");
  const auto record = read_range(file, offset, end64_bytes);
  Fields end(record);
  GRAFT_CHECK(end.next<uint32_t>() == end64_signature,
              "the zip64 end record is not where its locator points");
  const int64_t record_bytes = end.next_size();
  GRAFT_CHECK(record_bytes == end_offset - locator64_bytes - offset - 12,
              "the zip64 end record has a wrong length");
  end.take(4);  // versions
  GRAFT_CHECK(end.next<uint32_t>() == 0 && end.next<uint32_t>() == 0,
              "is one part of a split zip archive");
  const int64_t here = end.next_size();
  place.members = end.next_size();
  GRAFT_CHECK(here == place.members, "is one part of a split zip archive");
  place.bytes = end.next_size();
  place.offset = end.next_size();
  place.end = offset;
  return true;
}

DirectoryPlace find_directory(File& file) {
  const int64_t size = file.size();
  GRAFT_CHECK(size >= end_bytes, "is truncated: ", size, " bytes cannot be a zip archive");
  const int64_t tail_bytes = std::min<int64_t>(size, end_bytes + 65'535);
  const auto tail = read_range(file, size - tail_bytes, tail_bytes);
  // The end record is followed by exactly its comment: one that merely looks like a record inside
  // the comment is not it.
  for (int64_t at = tail_bytes - end_bytes; at >= 0; --at) {
    Fields fields{std::span<const std::byte>(tail).subspan(static_cast<size_t>(at))};
    if (fields.next<uint32_t>() != end_signature) continue;
    const auto disk = fields.next<uint16_t>(), first_disk = fields.next<uint16_t>();
    const auto here = fields.next<uint16_t>(), members = fields.next<uint16_t>();
    const auto bytes = fields.next<uint32_t>(), offset = fields.next<uint32_t>();
    const auto comment = fields.next<uint16_t>();
    if (fields.size() != comment) continue;
    DirectoryPlace place{offset, bytes, members, size - tail_bytes + at};
    const int64_t end_offset = place.end;
    const bool has64 = read_end64(file, end_offset, place);
    GRAFT_CHECK(has64 || (disk == 0 && first_disk == 0 && here == members),
                "is one part of a split zip archive");
    GRAFT_CHECK(place.bytes <= place.end && place.offset == place.end - place.bytes,
                "the zip directory does not end where its end record says");
    return place;
  }
  bad_input("is truncated: the zip directory at its end is missing");
}

void check_name(const std::string& name) {
  GRAFT_CHECK(!name.empty() && name[0] != '/' && name.find('\\') == std::string::npos &&
                  name.find('\0') == std::string::npos && !(name.size() > 1 && name[1] == ':'),
              "the zip member name '", name, "' is not allowed");
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    GRAFT_CHECK(name.substr(begin, end - begin) != "..", "the zip member name '", name,
                "' is not allowed");
    begin = end + 1;
  }
}

// Values of 0xffffffff are in the zip64 extra field, in this order.
void apply_extra64(std::span<const std::byte> extra, ZipMember& member, bool with_offset) {
  Fields fields(extra);
  while (fields.size() >= 4) {
    const auto id = fields.next<uint16_t>();
    const auto length = fields.next<uint16_t>();
    Fields content(fields.take(length));
    if (id != 1) continue;
    if (member.size == 0xffffffff) member.size = content.next_size();
    if (member.compressed == 0xffffffff) member.compressed = content.next_size();
    if (with_offset && member.header_offset == 0xffffffff)
      member.header_offset = content.next_size();
    return;
  }
}

ZipMember read_central_entry(Fields& fields, const ReadLimits& limits) {
  GRAFT_CHECK(fields.next<uint32_t>() == central_signature, "the zip directory is damaged");
  ZipMember member;
  fields.take(4);  // versions
  const auto flags = fields.next<uint16_t>(), method = fields.next<uint16_t>();
  fields.take(4);  // time and date
  member.crc = fields.next<uint32_t>();
  member.compressed = fields.next<uint32_t>();
  member.size = fields.next<uint32_t>();
  const auto name_bytes = fields.next<uint16_t>(), extra_bytes = fields.next<uint16_t>();
  const auto comment_bytes = fields.next<uint16_t>(), disk = fields.next<uint16_t>();
  fields.take(6);  // attributes
  member.header_offset = fields.next<uint32_t>();
  GRAFT_CHECK(name_bytes <= limits.name_bytes, "a zip member's name has ", name_bytes, " bytes");
  const auto name = fields.take(name_bytes);
  member.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  check_name(member.name);
  apply_extra64(fields.take(extra_bytes), member, true);
  fields.take(comment_bytes);
  GRAFT_CHECK((flags & 0x2041) == 0, "the zip member '", member.name, "' is encrypted");
  GRAFT_CHECK(disk == 0, "is one part of a split zip archive");
  GRAFT_CHECK(method == 0 || method == 8, "the zip member '", member.name, "' is packed by method ",
              method, ", only stored and deflated ones are read");
  member.deflated = method == 8;
  if (member.deflated)
    GRAFT_CHECK(member.size / limits.inflate_ratio <= member.compressed, "the zip member '",
                member.name, "' claims to unpack ", member.compressed, " bytes to ", member.size);
  else
    GRAFT_CHECK(member.size == member.compressed, "the stored zip member '", member.name,
                "' has two sizes");
  return member;
}

// The local header repeats the directory's entry; a difference means that two programs would see
// two archives.
void check_local_header(File& file, ZipMember& member, int64_t directory_offset) {
  GRAFT_CHECK(member.header_offset <= directory_offset - local_bytes, "the zip member '",
              member.name, "' lies outside of the file");
  const auto header = read_range(file, member.header_offset, local_bytes);
  Fields fields(header);
  const bool is_local = fields.next<uint32_t>() == local_signature;
  fields.take(2);  // version
  const auto flags = fields.next<uint16_t>(), method = fields.next<uint16_t>();
  fields.take(4);  // time and date
  ZipMember local;
  local.crc = fields.next<uint32_t>();
  local.compressed = fields.next<uint32_t>();
  local.size = fields.next<uint32_t>();
  const int64_t name_bytes = fields.next<uint16_t>(), extra_bytes = fields.next<uint16_t>();
  const int64_t variable = name_bytes + extra_bytes;
  GRAFT_CHECK(is_local && variable <= directory_offset - member.header_offset - local_bytes,
              "the zip member '", member.name, "' has a damaged local header");
  const auto rest = read_range(file, member.header_offset + local_bytes, variable);
  local.name.assign(reinterpret_cast<const char*>(rest.data()), static_cast<size_t>(name_bytes));
  apply_extra64(std::span(rest).subspan(static_cast<size_t>(name_bytes)), local, false);
  const bool streamed =
      (flags & 8) != 0 && local.crc == 0 && local.compressed == 0 && local.size == 0;
  const bool same_sizes =
      local.crc == member.crc && local.compressed == member.compressed && local.size == member.size;
  const bool descriptor64 = (flags & 8) != 0;  // sizes may stand in the data descriptor only
  GRAFT_CHECK((flags & 0x2041) == 0, "the zip member '", member.name, "' is encrypted");
  GRAFT_CHECK(local.name == member.name && (method == 8) == member.deflated &&
                  (method == 0 || method == 8) &&
                  (streamed || same_sizes || (descriptor64 && local.crc == 0)),
              "the zip member '", member.name,
              "' differs between the directory and its local header");
  member.data_offset = member.header_offset + local_bytes + variable;
  GRAFT_CHECK(member.compressed <= directory_offset - member.data_offset,
              "is truncated: the zip member '", member.name, "' does not fit into the file");
}

}  // namespace

std::vector<ZipMember> read_zip_directory(File& file, const ReadLimits& limits) {
  const DirectoryPlace place = find_directory(file);
  GRAFT_CHECK(place.members <= limits.zip_members, "has ", place.members,
              " zip members, more than the limit of ", limits.zip_members);
  GRAFT_CHECK(place.bytes <= central_limit && place.members * central_bytes <= place.bytes,
              "the zip directory has ", place.bytes, " bytes for ", place.members, " members");
  const auto directory = read_range(file, place.offset, place.bytes);
  Fields fields(directory);
  std::vector<ZipMember> members;
  std::set<std::string> names;
  for (int64_t i = 0; i < place.members; ++i) {
    members.push_back(read_central_entry(fields, limits));
    GRAFT_CHECK(names.insert(members.back().name).second, "has the zip member '",
                members.back().name, "' twice");
    check_local_header(file, members.back(), place.offset);
  }
  GRAFT_CHECK(fields.empty(), "the zip directory has more members than its end record says");
  std::vector<const ZipMember*> by_offset;
  for (const ZipMember& member : members) by_offset.push_back(&member);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return a->header_offset < b->header_offset; });
  for (size_t i = 1; i < by_offset.size(); ++i)
    GRAFT_CHECK(
        by_offset[i]->header_offset >= by_offset[i - 1]->data_offset + by_offset[i - 1]->compressed,
        "the zip members '", by_offset[i - 1]->name, "' and '", by_offset[i]->name, "' overlap");
  return members;
}

}  // namespace graft::io
