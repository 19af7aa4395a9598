// DICOM's data elements, one after another, up to the pixels.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace graft::io {

// The elements that say how the pixels are stored, by (group << 16 | element), and these.
struct DicomElements {
  std::string transfer_syntax{};
  std::map<uint32_t, std::span<const std::byte>> values{};
  std::span<const std::byte> pixels{};  // as they stand in the file
  bool is_encapsulated = false;         // pixels: items, of undefined length together
  bool has_pixels = false;

  // Unsigned short, or `otherwise`.
  int64_t number(uint32_t tag, int64_t otherwise) const;
  // Text without the blanks and zeros around it; "" where there is none.
  std::string text(uint32_t tag) const;
  // The first of the numbers in decimal text; nullopt where there is none.
  std::optional<double> decimal(uint32_t tag) const;
};

// Source: DICOM PS3.5, section 7, and PS3.10, section 7. bad_input naming `name` where elements do
// not fit into each other or into the bytes, or are nested more than 16 deep. Elements behind the
// pixels are not read. whole false: of a file's beginning what there is, without complaint.
DicomElements read_dicom_elements(std::span<const std::byte> bytes, const std::string& name,
                                  bool whole = true);

// The next item (PS3.5, section A.4) of encapsulated pixels from `at` on, which moves behind it;
// nullopt at the delimiter. bad_input as above.
std::optional<std::span<const std::byte>> next_dicom_item(std::span<const std::byte> pixels,
                                                          size_t& at, const std::string& name);

}  // namespace graft::io
