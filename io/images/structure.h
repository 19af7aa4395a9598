// What stb_image leaves unchecked: a PNG's checksums and a BMP's length. Damage would else become
// made-up pixels.
#pragma once
#include <span>
#include <string>

namespace graft::io {

struct PngFacts {
  int orientation = 1;  // EXIF's
  bool is_animated = false;
};
// bad_input naming `name` when a chunk is cut off, the last one is missing or a needed one has a
// wrong checksum.
PngFacts check_png_chunks(std::span<const std::byte> png, const std::string& name);
// bad_input naming `name` when the pixels that the header promises are not all there.
void check_bmp_length(std::span<const std::byte> bmp, const std::string& name);

}  // namespace graft::io
