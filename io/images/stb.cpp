// The one unit that compiles stb_image: PNG, BMP and PNM only, its own failures turned into ours.
#include "graft/io/images/stb.h"

#include <memory>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STBI_NO_THREAD_LOCALS
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace graft::io {

Image decode_with_stb(std::span<const std::byte> bytes, const std::string& name) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  int width = 0, height = 0, stored = 0;
  GRAFT_CHECK(stbi_info_from_memory(data, size, &width, &height, &stored) && width > 0 && height > 0, name,
              ": broken image: its header cannot be read");
  GRAFT_CHECK(int64_t{width} * height <= kMaxImagePixels, name, ": ", width, "x", height, " pixels, more than the limit of ",
              kMaxImagePixels);
  const int channels = stored <= 2 ? 1 : 3;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &width, &height, &stored, channels), stbi_image_free);
  GRAFT_CHECK(pixels != nullptr, name, ": broken image: its pixels cannot be decoded");
  Image image{width, height, channels, Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  std::copy_n(pixels.get(), image.pixels.numel(), image.pixels.mutable_data<uint8_t>());
  return image;
}

}  // namespace graft::io
