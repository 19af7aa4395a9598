#include "graft/io/images/upright_size.h"

#include <algorithm>
#include <array>

#include "graft/core/base/file_system.h"
#include "graft/io/images/image.h"
#include "graft/io/images/image_header.h"
#include "graft/io/images/jpeg.h"

namespace graft::io {

std::pair<int64_t, int64_t> upright_size(const std::string& path) {
  const auto file = file_system().open_read(path);
  const ImageHeader header = read_image_header(*file);
  if (header.width == 0) return {0, 0};
  std::array<std::byte, 16> first{};
  file->read_at(0, std::span(first).first(
                       static_cast<size_t>(std::min<int64_t>(file->size(), std::ssize(first)))));
  if (image_format(first) != "JPEG") return {header.width, header.height};
  JpegReader reader;
  const std::vector<std::byte> bytes = read_file(path, kMaxImageFileBytes);
  const JpegHeader jpeg = reader.open(bytes, path);
  if (jpeg.orientation >= 5) return {header.height, header.width};
  return {header.width, header.height};
}

}  // namespace graft::io
