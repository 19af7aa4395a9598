// A zip archive as NPZ and PyTorch files use it: members stored or deflated, zip64; every size
// checked before use.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/limits.h"

namespace graft::io {

struct ZipMember {
  std::string name{};
  bool deflated = false;
  uint32_t crc = 0;
  int64_t compressed = 0;  // bytes in the file
  int64_t size = 0;        // bytes when unpacked
  int64_t header_offset = 0;
  int64_t data_offset = 0;
};

// Reads the whole directory and checks it: no duplicate, absolute or ".." names, no overlapping
// members, local headers that agree with the directory, nothing encrypted or split, unpacked sizes
// within limits.inflate_ratio. bad_input messages do not name the file (callers add it).
std::vector<ZipMember> read_zip_directory(File& file, const ReadLimits& limits);

// Reads one member from its start to its end, checking its CRC and exact length at the end.
class ZipReader {
 public:
  ZipReader(File& file, const ZipMember& member);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  void read(std::span<std::byte> out);  // bad_input when fewer bytes are left
  int64_t left() const { return member_.size - position_; }
  void finish();  // all was read, and it was right

 private:
  void inflate_into(std::span<std::byte> out);

  struct Inflater;
  File& file_;
  const ZipMember& member_;
  int64_t position_ = 0;       // unpacked bytes read so far
  int64_t file_position_ = 0;  // compressed bytes taken from the file so far
  uint32_t crc_ = 0;
  std::unique_ptr<Inflater> inflater_;
};

// The CRC-32 of a range of the file (zlib's polynomial).
uint32_t crc_of_range(File& file, int64_t offset, int64_t bytes);

// One member of an archive to be written, stored.
struct ZipPart {
  std::string name{};
  std::vector<std::span<const std::byte>> content{};
};
// Writes an archive atomically with fixed time stamps; zip64 where sizes need it.
void write_zip(const std::string& path, const std::vector<ZipPart>& parts);

}  // namespace graft::io
