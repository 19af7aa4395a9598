// Binary files front to back, gunzipped when they are .gz, with a bound on what comes out and no
// copy of the whole on the way.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/file_system.h"

namespace graft::io {

class BinaryReader {
 public:
  explicit BinaryReader(const std::string& path);
  ~BinaryReader();
  BinaryReader(const BinaryReader&) = delete;
  BinaryReader& operator=(const BinaryReader&) = delete;

  bool is_packed() const { return unpacker_ != nullptr; }
  // Its size; of a packed file the most that can come out of it, 1,032 times its size.
  int64_t most_bytes() const;
  // Fills `out` as far as the file goes; fewer bytes than asked for are the last. bad_input naming
  // the path when a packed file is damaged or ends too soon.
  size_t read(std::span<std::byte> out);

 private:
  struct Unpacker;
  bool refill();

  std::unique_ptr<File> file_;
  int64_t size_, position_ = 0;
  std::unique_ptr<Unpacker> unpacker_;  // null: the file is plain
};

// All of it. bad_input naming the path when it is damaged or larger than `limit` bytes (unpacked).
std::vector<std::byte> read_maybe_gzipped(const std::string& path, int64_t limit);

}  // namespace graft::io
