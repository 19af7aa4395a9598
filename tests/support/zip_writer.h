// Zip archives entry by entry, so that tests can make ones that no sound writer would. Layout:
// PKWARE APPNOTE 4.3.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace graft {

// A stored member; the fields may be made to lie. "as stored" stands for what is true.
struct ZipEntry {
  std::string name, content;
  uint16_t flags = 0, method = 0, disk = 0;
  std::string local_name = name;       // in the local header
  int64_t size = std::ssize(content);  // claimed once unpacked, in both headers
  int64_t local_size = size;           // in the local header
  int64_t offset = -1;                 // claimed place of the local header; -1: as stored
};

inline std::string deflated(const std::string& content) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) return "";
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class ZipWriter {
 public:
  // `crc` is of the content once unpacked; nullptr: of the content as it is.
  ZipWriter& add(const ZipEntry& entry, const std::string* unpacked = nullptr) {
    const std::string& checked = unpacked ? *unpacked : entry.content;
    const auto crc = static_cast<uint32_t>(
        crc32_z(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size()));
    const auto offset = static_cast<uint32_t>(entry.offset < 0 ? std::ssize(body_) : entry.offset);
    const auto stored = static_cast<uint32_t>(entry.content.size());
    put(body_, uint32_t{0x04034b50}, uint16_t{20}, entry.flags, entry.method, uint32_t{0}, crc,
        stored, static_cast<uint32_t>(entry.local_size),
        static_cast<uint16_t>(entry.local_name.size()), uint16_t{0});
    body_ += entry.local_name + entry.content;
    put(directory_, uint32_t{0x02014b50}, uint16_t{20}, uint16_t{20}, entry.flags, entry.method,
        uint32_t{0}, crc, stored, static_cast<uint32_t>(entry.size),
        static_cast<uint16_t>(entry.name.size()), uint16_t{0}, uint16_t{0}, entry.disk, uint16_t{0},
        uint32_t{0}, offset);
    directory_ += entry.name;
    ++members_;
    return *this;
  }
  // `disk` is the number of this part; `members` is claimed, -1: as stored.
  std::string bytes(uint16_t disk = 0, int members = -1) const {
    const auto count = static_cast<uint16_t>(members < 0 ? members_ : members);
    std::string end;
    put(end, uint32_t{0x06054b50}, disk, disk, count, count,
        static_cast<uint32_t>(directory_.size()), static_cast<uint32_t>(body_.size()), uint16_t{0});
    return body_ + directory_ + end;
  }

 private:
  template <class... T>
  static void put(std::string& out, T... values) {
    const auto one = [&](auto value) {
      char bytes[sizeof(value)];
      std::memcpy(bytes, &value, sizeof(value));
      out.append(bytes, sizeof(value));
    };
    (one(values), ...);
  }
  std::string body_, directory_;
  int members_ = 0;
};

}  // namespace graft
