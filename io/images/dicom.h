// DICOM: images of one grey channel, uncompressed or as baseline JPEG; graft's own bounded reader.
#pragma once
#include "graft/io/images/image.h"

namespace graft::io {

// By its first 132 bytes.
bool is_dicom(std::span<const std::byte> bytes);

// Grey, of the first frame: MONOCHROME1 and 2, 8 and 16 bits, signed and unsigned. Stored values go
// through slope and intercept, then through `window` or else the file's own (its first), else 8-bit
// values stay and others are spread from the lowest to the highest; which of these it was is the
// remark. bad_input naming `name` for what is damaged, and for other transfer syntaxes by their
// names.
Image decode_dicom(std::span<const std::byte> bytes, const std::string& name,
                   const GreyWindow& window = {});

// Width and height as the header says; 0, 0 where it cannot be read. `bytes`: the file's beginning.
struct DicomSize {
  int64_t width = 0, height = 0;
};
DicomSize dicom_size(std::span<const std::byte> bytes);

}  // namespace graft::io
