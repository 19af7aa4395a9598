#include "graft/io/images/nifti.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft::io {
namespace {

constexpr size_t kHeaderBytes = 348, kMagicAt = 344;

// Source: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
struct NiftiHeader {
  bool is_big_endian = false;
  int64_t width = 0, height = 0, depth = 1, volumes = 1;
  int64_t type = 0, bytes = 0;  // of a value; 0 bytes: a type that is not read
  int64_t offset = 0;           // of the values
  double slope = 1, intercept = 0, low = 0, high = 0;

  int64_t slice_values() const { return width * height; }
  int64_t volume_bytes() const { return slice_values() * depth * bytes; }
};

template <class T>
T value_at(std::span<const std::byte> bytes, size_t at, bool big_endian) {
  std::array<std::byte, sizeof(T)> raw;
  std::memcpy(raw.data(), bytes.data() + at, sizeof(T));
  if (big_endian) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<T>(raw);
}

bool has_magic(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data() + kMagicAt, "n+1", 4) != 0)
    return false;
  return value_at<int32_t>(bytes, 0, false) == static_cast<int32_t>(kHeaderBytes) ||
         value_at<int32_t>(bytes, 0, true) == static_cast<int32_t>(kHeaderBytes);
}

bool is_packed(std::span<const std::byte> bytes) {
  return bytes.size() >= 18 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

// The first `wanted` bytes of what gzip packed, fewer where there are no more; memory grows with
// what really comes out.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> packed) {
    if (::inflateInit2(&stream_, 15 + 16) != Z_OK)
      fail(ErrorCode::resource, "no memory to unpack gzip");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
  }
  ~Unpacker() { ::inflateEnd(&stream_); }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  std::vector<std::byte> take(size_t wanted) {
    constexpr size_t kPiece = size_t{1} << 16;
    std::vector<std::byte> out;
    while (out.size() < wanted) {
      const size_t before = out.size(), more = std::min(kPiece, wanted - before);
      out.resize(before + more);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
      stream_.avail_out = static_cast<uInt>(more);
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      out.resize(before + more - stream_.avail_out);
      if (result == Z_MEM_ERROR) fail(ErrorCode::resource, "no memory to unpack gzip");
      if (result == Z_STREAM_END) break;
      is_broken_ = result != Z_OK;
      if (is_broken_ || out.size() == before) break;
    }
    return out;
  }
  bool is_broken() const { return is_broken_; }

 private:
  z_stream stream_{};
  bool is_broken_ = false;
};

int64_t bytes_of_type(int64_t type) {
  switch (type) {
    case 2:
    case 256: return 1;  // unsigned, signed char
    case 4:
    case 512: return 2;  // short
    case 8:
    case 768:
    case 16: return 4;  // int, float
    case 64: return 8;  // double
    default: return 0;
  }
}

NiftiHeader header_of(std::span<const std::byte> bytes) {
  NiftiHeader h;
  h.is_big_endian = value_at<int32_t>(bytes, 0, false) != static_cast<int32_t>(kHeaderBytes);
  const auto extent = [&](size_t axis) {
    return int64_t{value_at<int16_t>(bytes, 40 + 2 * axis, h.is_big_endian)};
  };
  const auto real = [&](size_t at) { return double{value_at<float>(bytes, at, h.is_big_endian)}; };
  const int64_t axes = extent(0);
  h.width = axes >= 1 ? extent(1) : 0;
  h.height = axes >= 2 ? extent(2) : 0;
  h.depth = axes >= 3 ? extent(3) : 1;
  for (size_t axis = 4; axis <= 7 && static_cast<int64_t>(axis) <= axes; ++axis)
    h.volumes *= std::clamp<int64_t>(extent(axis), 1, 1 << 15);
  h.type = value_at<int16_t>(bytes, 70, h.is_big_endian);
  h.bytes = bytes_of_type(h.type);
  const double offset = real(108);
  h.offset = offset >= 352 && offset < 1e9 ? static_cast<int64_t>(offset) : 352;
  const double slope = real(112);
  if (slope != 0 && std::isfinite(slope)) {
    h.slope = slope;
    h.intercept = std::isfinite(real(116)) ? real(116) : 0;
  }
  h.high = real(124), h.low = real(128);
  return h;
}

void check_header(const NiftiHeader& h, const std::string& name) {
  GRAFT_CHECK(h.width >= 1 && h.height >= 1 && h.depth >= 1, name, ": broken NIfTI: a volume of ",
              h.width, "x", h.height, "x", h.depth);
  GRAFT_CHECK(h.bytes > 0, name, ": a NIfTI of data type ", h.type,
              " is not read; integers of 8 to 32 bits and floating point are");
  GRAFT_CHECK(h.slice_values() <= image_pixel_limit() / h.depth, name, ": a volume of ", h.width,
              "x", h.height, "x", h.depth, " values is larger than the limit of ",
              image_pixel_limit(), " (--max-pixels)");
}

// Values of a volume, through slope and intercept.
class NiftiValues {
 public:
  NiftiValues(const NiftiHeader& h, std::span<const std::byte> values) : h_(h), values_(values) {}
  double operator[](int64_t i) const {
    const auto at = static_cast<size_t>(i * h_.bytes);
    return stored(at) * h_.slope + h_.intercept;
  }

 private:
  double stored(size_t at) const {
    const bool big = h_.is_big_endian;
    switch (h_.type) {
      case 2: return std::to_integer<int>(values_[at]);
      case 256: return value_at<int8_t>(values_, at, big);
      case 4: return value_at<int16_t>(values_, at, big);
      case 512: return value_at<uint16_t>(values_, at, big);
      case 8: return value_at<int32_t>(values_, at, big);
      case 768: return value_at<uint32_t>(values_, at, big);
      case 16: return double{value_at<float>(values_, at, big)};
      default: return value_at<double>(values_, at, big);
    }
  }
  const NiftiHeader& h_;
  std::span<const std::byte> values_;
};

// The volume's lowest to highest finite value.
GreyWindow whole_range(const NiftiValues& values, int64_t count) {
  double low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < count; ++i) {
    const double value = values[i];
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (!(high > low)) return {low > high ? 0 : low, 1};
  return {low / 2 + high / 2, high - low};
}

}  // namespace

SlicePath slice_path(const std::string& path) {
  const size_t mark = path.rfind('#');
  if (mark == std::string::npos) return {path, -1};
  const std::string file = path.substr(0, mark);
  std::string lower = file.substr(file.size() - std::min<size_t>(file.size(), 7));
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  int64_t slice = 0;
  const char* const end = path.data() + path.size();
  const auto read = std::from_chars(path.data() + mark + 1, end, slice);
  const bool is_slice = (lower.ends_with(".nii") || lower.ends_with(".nii.gz")) &&
                        read.ec == std::errc() && read.ptr == end && slice >= 0 &&
                        path[mark + 1] != '-';
  return is_slice ? SlicePath{file, slice} : SlicePath{path, -1};
}

bool is_nifti(std::span<const std::byte> bytes) {
  if (is_packed(bytes)) return has_magic(Unpacker(bytes).take(kHeaderBytes));
  return has_magic(bytes);
}

Image decode_nifti(std::span<const std::byte> bytes, const std::string& name,
                   const GreyWindow& window) {
  const bool packed = is_packed(bytes);
  std::vector<std::byte> unpacked;
  if (packed) unpacked = Unpacker(bytes).take(kHeaderBytes);
  const std::span<const std::byte> beginning =
      packed ? std::span<const std::byte>(unpacked) : bytes;
  GRAFT_CHECK(has_magic(beginning), name, ": no NIfTI-1 file");
  const NiftiHeader h = header_of(beginning);
  check_header(h, name);
  const auto end = static_cast<size_t>(h.offset + h.volume_bytes());
  if (packed) {
    Unpacker unpacker(bytes);
    unpacked = unpacker.take(end);
    GRAFT_CHECK(!unpacker.is_broken(), name, ": broken NIfTI: its gzip cannot be unpacked");
    bytes = unpacked;
  }
  GRAFT_CHECK(bytes.size() >= end, name, ": broken NIfTI: ", bytes.size(),
              " bytes, the header promises ", end);
  const int64_t asked = slice_path(name).slice, slice = asked >= 0 ? asked : h.depth / 2;
  GRAFT_CHECK(slice < h.depth, name, ": there is no slice ", slice, ", the volume has ", h.depth,
              " (from 0)");
  const NiftiValues values(h, bytes.subspan(static_cast<size_t>(h.offset)));
  Image image{h.width, h.height, 1, Tensor::empty({h.height, h.width, 1}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  const bool stays = h.type == 2 && h.slope == 1 && h.intercept == 0;
  const bool has_own = std::isfinite(h.low) && std::isfinite(h.high) && h.high > h.low;
  GreyWindow used = window;
  if (!window.is_given() && has_own) {
    used = {h.low / 2 + h.high / 2, h.high - h.low};
    image.remark =
        "NIfTI: grey levels by cal_min and cal_max of the file (--window sets one for "
        "all)";
  } else if (!window.is_given() && stays) {
    used = {127.5, 255};
  } else if (!window.is_given()) {
    used = whole_range(values, h.slice_values() * h.depth);
    image.remark =
        "NIfTI without a window: its values from lowest to highest become black to white, in each "
        "volume anew (--window CENTRE,WIDTH sets one for all)";
  }
  for (int64_t i = 0; i < h.slice_values(); ++i)
    out[i] = used.level(values[slice * h.slice_values() + i]);
  const auto also = [&](const char* sentence) {
    image.remark += str(image.remark.empty() ? "" : "; ", sentence);
  };
  if (asked < 0 && h.depth > 1) also("the middle slice is read (FILE.nii#K is slice K, from 0)");
  if (h.volumes > 1) also("the first of several volumes is read");
  return image;
}

NiftiSize nifti_size(std::span<const std::byte> bytes) {
  std::vector<std::byte> unpacked;
  if (is_packed(bytes)) {
    unpacked = Unpacker(bytes).take(kHeaderBytes);
    bytes = unpacked;
  }
  if (!has_magic(bytes)) return {};
  const NiftiHeader h = header_of(bytes);
  if (h.width < 1 || h.height < 1 || h.depth < 1 || h.bytes < 1) return {};
  return {h.width, h.height, h.offset + h.volume_bytes()};
}

}  // namespace graft::io
