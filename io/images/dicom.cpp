#include "graft/io/images/dicom.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/io/images/dicom_elements.h"
#include "graft/io/images/jpeg.h"

namespace graft::io {
namespace {

constexpr uint32_t kSamples = 0x00280002, kPhotometric = 0x00280004, kFrames = 0x00280008,
                   kRows = 0x00280010, kColumns = 0x00280011, kAllocated = 0x00280100,
                   kStored = 0x00280101, kHighBit = 0x00280102, kSigned = 0x00280103,
                   kCentre = 0x00281050, kWidth = 0x00281051, kIntercept = 0x00281052,
                   kSlope = 0x00281053, kFunction = 0x00281056, kModalityTable = 0x00283000;

constexpr const char* kJpegBaseline = "1.2.840.10008.1.2.4.50";

struct SyntaxName {
  const char* uid;
  const char* name;
};
// Source: DICOM PS3.6, table A-1.
constexpr std::array<SyntaxName, 18> kSyntaxNames = {{
    {"1.2.840.10008.1.2", "Implicit VR Little Endian"},
    {"1.2.840.10008.1.2.1", "Explicit VR Little Endian"},
    {kJpegBaseline, "JPEG Baseline"},
    {"1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"},
    {"1.2.840.10008.1.2.2", "Explicit VR Big Endian"},
    {"1.2.840.10008.1.2.4.51", "JPEG Extended"},
    {"1.2.840.10008.1.2.4.57", "JPEG Lossless"},
    {"1.2.840.10008.1.2.4.70", "JPEG Lossless, first-order prediction"},
    {"1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"},
    {"1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless"},
    {"1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless"},
    {"1.2.840.10008.1.2.4.91", "JPEG 2000"},
    {"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless"},
    {"1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 RPCL Lossless"},
    {"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000"},
    {"1.2.840.10008.1.2.4.100", "MPEG2"},
    {"1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264"},
    {"1.2.840.10008.1.2.5", "RLE Lossless"},
}};
constexpr size_t kReadSyntaxes = 3;

struct DicomPixels {
  int64_t width = 0, height = 0, frames = 1;
  int64_t allocated = 8, stored = 8;
  bool is_signed = false, is_inverted = false, is_jpeg = false;

  int64_t count() const { return width * height; }
};

void check_syntax(const std::string& uid, const std::string& name) {
  const auto known = std::find_if(kSyntaxNames.begin(), kSyntaxNames.end(),
                                  [&](const SyntaxName& syntax) { return uid == syntax.uid; });
  if (known - kSyntaxNames.begin() < static_cast<std::ptrdiff_t>(kReadSyntaxes)) return;
  bad_input(name, ": a DICOM of transfer syntax ",
            known == kSyntaxNames.end() ? str("'", printable(uid), "'") : std::string(known->name),
            " is not read; uncompressed little endian and JPEG Baseline are");
}

DicomPixels check_pixels(const DicomElements& file, const std::string& name) {
  DicomPixels p;
  GRAFT_CHECK(file.has_pixels, name, ": a DICOM without pixels");
  p.is_jpeg = file.transfer_syntax == kJpegBaseline;
  p.width = file.number(kColumns, 0);
  p.height = file.number(kRows, 0);
  GRAFT_CHECK(p.width >= 1 && p.height >= 1, name, ": broken DICOM: it has no rows or columns");
  GRAFT_CHECK(p.count() <= image_pixel_limit(), name, ": ", p.width, "x", p.height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  const int64_t samples = file.number(kSamples, 1);
  const std::string kind = file.text(kPhotometric);
  GRAFT_CHECK(samples == 1 && (kind == "MONOCHROME1" || kind == "MONOCHROME2"), name,
              ": a DICOM of ", samples, samples == 1 ? " channel, '" : " channels, '",
              printable(kind), "', is not read; MONOCHROME1 and MONOCHROME2 are");
  p.is_inverted = kind == "MONOCHROME1";
  p.allocated = file.number(kAllocated, 0);
  p.stored = file.number(kStored, p.allocated);
  p.is_signed = file.number(kSigned, 0) == 1;
  GRAFT_CHECK((p.allocated == 8 || (p.allocated == 16 && !p.is_jpeg)) && p.stored >= 1 &&
                  p.stored <= p.allocated && file.number(kHighBit, p.stored - 1) == p.stored - 1,
              name, ": a DICOM of ", p.stored, " bits in ", p.allocated, " up to bit ",
              file.number(kHighBit, p.stored - 1), p.is_jpeg ? " as JPEG" : "",
              " is not read; the lowest bits of 8 or 16 are");
  GRAFT_CHECK(!file.values.contains(kModalityTable), name,
              ": a DICOM whose values go through a table (modality LUT) is not read");
  p.frames = static_cast<int64_t>(std::clamp(file.decimal(kFrames).value_or(1), 1.0, 1e9));
  return p;
}

// The first frame's JPEG: all fragments of one frame; of several frames the first's, as the offset
// table says, or one fragment a frame.
std::vector<std::byte> first_jpeg(const DicomElements& file, int64_t frames,
                                  const std::string& name) {
  GRAFT_CHECK(file.is_encapsulated, name, ": broken DICOM: its JPEG is not in items");
  size_t at = 0;
  const auto table = next_dicom_item(file.pixels, at, name);
  GRAFT_CHECK(table.has_value(), name, ": broken DICOM: its pixels hold no items");
  size_t end = file.pixels.size();  // of the first frame
  if (frames > 1) {
    end = at + 1;  // one fragment
    if (table->size() >= 8) {
      uint32_t second = 0;
      for (int i = 0; i < 4; ++i)
        second |= std::to_integer<uint32_t>((*table)[4 + static_cast<size_t>(i)]) << (8 * i);
      end = at + std::min<size_t>(second, file.pixels.size() - at);
    }
  }
  std::vector<std::byte> jpeg;
  while (at < end) {
    const auto item = next_dicom_item(file.pixels, at, name);
    if (!item) break;
    jpeg.insert(jpeg.end(), item->begin(), item->end());
  }
  return jpeg;
}

// Stored values, before slope and intercept.
std::vector<int32_t> stored_values(const DicomElements& file, const DicomPixels& p,
                                   const std::string& name) {
  std::vector<int32_t> values;
  values.reserve(static_cast<size_t>(p.count()));
  if (p.is_jpeg) {
    const std::vector<std::byte> jpeg = first_jpeg(file, p.frames, name);
    GRAFT_CHECK(is_jpeg(jpeg), name, ": broken DICOM: its pixels are no JPEG");
    const Image image = decode_jpeg(jpeg, name);
    GRAFT_CHECK(image.width == p.width && image.height == p.height && image.channels == 1, name,
                ": broken DICOM: its JPEG is of ", image.width, "x", image.height, " pixels and ",
                image.channels, " channels, not ", p.width, "x", p.height, " grey ones");
    const uint8_t* level = image.pixels.data<uint8_t>();
    values.assign(level, level + p.count());
    return values;
  }
  const int64_t bytes = p.allocated / 8;
  GRAFT_CHECK(!file.is_encapsulated && std::ssize(file.pixels) / bytes / p.frames >= p.count(),
              name, ": broken DICOM: ", file.pixels.size(), " bytes of pixels for ", p.frames,
              " x ", p.width, "x", p.height, " values");
  const auto mask = static_cast<int32_t>((int64_t{1} << p.stored) - 1);
  const auto sign = static_cast<int32_t>(int64_t{1} << (p.stored - 1));
  for (int64_t i = 0; i < p.count(); ++i) {
    const std::byte* from = file.pixels.data() + i * bytes;
    int32_t value = std::to_integer<int32_t>(from[0]);
    if (bytes == 2) value |= std::to_integer<int32_t>(from[1]) << 8;
    value &= mask;
    values.push_back(p.is_signed && (value & sign) != 0 ? value - mask - 1 : value);
  }
  return values;
}

// The file's own window: PS3.3, C.11.2.1.2 and C.11.2.1.3.
class FileWindow {
 public:
  FileWindow(const DicomElements& file, const std::string& name)
      : function_(file.text(kFunction)),
        centre_(file.decimal(kCentre).value_or(0)),
        width_(file.decimal(kWidth).value_or(0)) {
    if (function_.empty()) function_ = "LINEAR";
    is_there_ = file.decimal(kCentre) && width_ > 0 && (function_ != "LINEAR" || width_ >= 1);
    GRAFT_CHECK(!is_there_ || function_ == "LINEAR" || function_ == "LINEAR_EXACT" ||
                    function_ == "SIGMOID",
                name, ": a DICOM whose window is of function '", printable(function_),
                "' is not read");
  }
  bool is_there() const { return is_there_; }
  uint8_t level(double value) const {
    if (function_ == "SIGMOID")
      return static_cast<uint8_t>(
          std::lround(255 / (1 + std::exp(-4 * (value - centre_) / width_))));
    if (function_ == "LINEAR_EXACT") return GreyWindow{centre_, width_}.level(value);
    if (width_ == 1) return value > centre_ - 0.5 ? 255 : 0;
    return GreyWindow{centre_ - 0.5, width_ - 1}.level(value);
  }

 private:
  std::string function_;
  double centre_, width_;
  bool is_there_ = false;
};

template <class Level>
void write_levels(const std::vector<int32_t>& values, double slope, double intercept, bool inverted,
                  Image& image, Level level) {
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  for (const int32_t value : values) {
    const uint8_t grey = level(value * slope + intercept);
    *out++ = inverted ? static_cast<uint8_t>(255 - grey) : grey;
  }
}

}  // namespace

bool is_dicom(std::span<const std::byte> bytes) {
  return bytes.size() >= 132 && std::memcmp(bytes.data() + 128, "DICM", 4) == 0;
}

Image decode_dicom(std::span<const std::byte> bytes, const std::string& name,
                   const GreyWindow& window) {
  GRAFT_CHECK(is_dicom(bytes), name, ": no DICOM file");
  const DicomElements file = read_dicom_elements(bytes, name);
  check_syntax(file.transfer_syntax, name);
  const DicomPixels p = check_pixels(file, name);
  const std::vector<int32_t> values = stored_values(file, p, name);
  const double slope = file.decimal(kSlope).value_or(1),
               intercept = file.decimal(kIntercept).value_or(0);
  Image image{p.width, p.height, 1, Tensor::empty({p.height, p.width, 1}, {.dtype = DType::u8})};
  const auto write = [&](auto level) {
    write_levels(values, slope, intercept, p.is_inverted, image, level);
  };
  const FileWindow own(file, name);
  if (window.is_given()) {
    write([&](double value) { return window.level(value); });
  } else if (own.is_there()) {
    write([&](double value) { return own.level(value); });
    image.remark = "DICOM: grey levels by the window in the file (--window sets one for all)";
  } else if (p.stored == 8 && !p.is_signed && slope == 1 && intercept == 0) {
    write([](double value) { return static_cast<uint8_t>(value); });
  } else {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const double middle = (static_cast<double>(*high) + *low) / 2 * slope + intercept,
                 spread = std::abs(slope) * (static_cast<double>(*high) - *low);
    const GreyWindow all{middle, spread > 0 ? spread : 1};
    write([&](double value) { return all.level(value); });
    image.remark =
        "DICOM without a window: its values from lowest to highest become black to white, in each "
        "image anew (--window CENTRE,WIDTH sets one for all)";
  }
  if (p.frames > 1)
    image.remark += str(image.remark.empty() ? "" : "; ", "the first of several frames is read");
  return image;
}

DicomSize dicom_size(std::span<const std::byte> bytes) {
  if (!is_dicom(bytes)) return {};
  try {
    const DicomElements file = read_dicom_elements(bytes, "", false);
    return {file.number(kColumns, 0), file.number(kRows, 0)};
  } catch (const Error&) {
    return {};
  }
}

}  // namespace graft::io
