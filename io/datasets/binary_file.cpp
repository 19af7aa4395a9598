#include "graft/io/datasets/binary_file.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"

namespace graft::io {

namespace {
constexpr int64_t kMostInflation = 1032;  // deflate's own
constexpr size_t kPieceBytes = 64 << 10;
}  // namespace

struct BinaryReader::Unpacker {
  z_stream stream{};
  bool is_at_end = false;
  std::vector<std::byte> packed = std::vector<std::byte>(kPieceBytes);

  explicit Unpacker(const std::string& path) {
    if (inflateInit2(&stream, 15 + 16) != Z_OK)
      fail(ErrorCode::resource, path, ": no memory to unpack it");
  }
  ~Unpacker() { inflateEnd(&stream); }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
};

BinaryReader::BinaryReader(const std::string& path)
    : file_(file_system().open_read(path)), size_(file_->size()) {
  std::array<std::byte, 2> start{};
  if (size_ >= 2) file_->read_at(0, start);
  if (start[0] == std::byte{0x1f} && start[1] == std::byte{0x8b})
    unpacker_ = std::make_unique<Unpacker>(path);
}

BinaryReader::~BinaryReader() = default;

int64_t BinaryReader::most_bytes() const {
  return unpacker_ ? checked_mul(size_, kMostInflation) : size_;
}

// The next piece of a packed file; false at its end.
bool BinaryReader::refill() {
  const auto piece = std::span(unpacker_->packed)
                         .first(static_cast<size_t>(
                             std::min<int64_t>(size_ - position_, std::ssize(unpacker_->packed))));
  if (piece.empty()) return false;
  file_->read_at(position_, piece);
  position_ += std::ssize(piece);
  unpacker_->stream.next_in = reinterpret_cast<Bytef*>(piece.data());
  unpacker_->stream.avail_in = static_cast<uInt>(piece.size());
  return true;
}

size_t BinaryReader::read(std::span<std::byte> out) {
  if (!unpacker_) {
    const auto taken =
        out.first(static_cast<size_t>(std::min<int64_t>(std::ssize(out), size_ - position_)));
    if (!taken.empty()) file_->read_at(position_, taken);
    position_ += std::ssize(taken);
    return taken.size();
  }
  z_stream& stream = unpacker_->stream;
  size_t done = 0;
  while (done < out.size() && !unpacker_->is_at_end) {
    const bool has_input = stream.avail_in > 0 || refill();
    const size_t wanted = std::min<size_t>(out.size() - done, 1 << 30);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = static_cast<uInt>(wanted);
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) fail(ErrorCode::resource, file_->path(), ": no memory to unpack it");
    const size_t made = wanted - stream.avail_out;
    done += made;
    unpacker_->is_at_end = result == Z_STREAM_END;
    const bool goes_on = result == Z_OK && (has_input || made > 0);
    GRAFT_CHECK(unpacker_->is_at_end || goes_on, file_->path(),
                ": the gzip file is damaged or truncated");
  }
  return done;
}

std::vector<std::byte> read_maybe_gzipped(const std::string& path, int64_t limit) {
  BinaryReader reader(path);
  std::vector<std::byte> bytes;
  size_t end = 0;
  // Plain: one byte more than there is. Packed: twice as much each time.
  size_t wanted = reader.is_packed()
                      ? kPieceBytes
                      : static_cast<size_t>(std::min(reader.most_bytes(), limit)) + 1;
  for (bool more = true; more; wanted = end) {
    bytes.resize(end + wanted);
    const size_t got = reader.read(std::span(bytes).subspan(end));
    end += got;
    more = got == wanted;
    GRAFT_CHECK(static_cast<int64_t>(end) <= limit, path, ": holds more than the limit of ", limit,
                " bytes");
  }
  bytes.resize(end);
  return bytes;
}

}  // namespace graft::io
