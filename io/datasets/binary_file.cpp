#include "graft/io/datasets/binary_file.h"

#include <zlib.h>

#include <memory>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft::io {

std::vector<std::byte> read_maybe_gzipped(const std::string& path, int64_t limit) {
  std::vector<std::byte> packed = read_file(path, limit);
  if (packed.size() < 2 || packed[0] != std::byte{0x1f} || packed[1] != std::byte{0x8b})
    return packed;
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK)
    fail(ErrorCode::resource, path, ": no memory to unpack it");
  const std::unique_ptr<z_stream, void (*)(z_stream*)> guard(&stream,
                                                             [](z_stream* s) { inflateEnd(s); });
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  std::vector<std::byte> out(packed.size() * 4);
  int result = Z_OK;
  while (result == Z_OK) {
    if (stream.total_out == out.size()) out.resize(out.size() * 2);
    GRAFT_CHECK(std::ssize(out) <= 2 * limit, path, ": unpacks to more than the limit of ", limit,
                " bytes");
    stream.next_out = reinterpret_cast<Bytef*>(out.data()) + stream.total_out;
    stream.avail_out = static_cast<uInt>(out.size() - stream.total_out);
    result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_OK && stream.avail_in == 0 && stream.avail_out != 0)
      break;  // the file ends too soon
  }
  if (result == Z_MEM_ERROR) fail(ErrorCode::resource, path, ": no memory to unpack it");
  GRAFT_CHECK(result == Z_STREAM_END, path, ": the gzip file is damaged or truncated");
  out.resize(stream.total_out);
  GRAFT_CHECK(std::ssize(out) <= limit, path, ": unpacks to more than the limit of ", limit,
              " bytes");
  return out;
}

}  // namespace graft::io
