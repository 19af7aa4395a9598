// The one unit that compiles stb_image: PNG and BMP only, its memory bounded, its own failures
// turned into ours.
#include "graft/io/images/stb.h"

#include <climits>
#include <cstdlib>
#include <memory>

namespace {

// The largest block that the image being decoded on this thread may ask for: a deflate stream can
// promise a thousand times its size.
thread_local size_t largest_block = 0;
thread_local bool memory_ran_out = false;  // a block within that bound could not be had

void* checked(void* block) {
  memory_ran_out = memory_ran_out || block == nullptr;
  return block;
}
void* bounded_malloc(size_t size) {
  return size <= largest_block ? checked(std::malloc(size)) : nullptr;
}
void* bounded_realloc(void* block, size_t size) {
  return size <= largest_block ? checked(std::realloc(block, size)) : nullptr;
}

}  // namespace

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_THREAD_LOCALS
#define STBI_NO_FAILURE_STRINGS  // they are global variables, written by every thread that meets a
                                 // broken image
#define STBI_MALLOC(size) bounded_malloc(size)
#define STBI_REALLOC(block, size) bounded_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace graft::io {
namespace {

Image in_window(const uint16_t* samples, int64_t width, int64_t height, const GreyWindow& window) {
  Image image{width, height, 1, Tensor::empty({height, width, 1}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  for (int64_t i = 0; i < image.pixels.numel(); ++i) out[i] = window.level(samples[i]);
  return image;
}

// 16-bit samples as their upper 8 bits; 12 bits in 16, as cameras of laboratories write them, are
// said, because little of them is left.
Image upper_halves(const uint16_t* samples, int64_t width, int64_t height, int64_t channels) {
  Image image{width, height, channels,
              Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  uint16_t most = 0;
  for (int64_t i = 0; i < image.pixels.numel(); ++i) {
    most = std::max(most, samples[i]);
    out[i] = static_cast<uint8_t>(samples[i] >> 8);
  }
  if (channels == 1) image.remark = kUpperHalfRemark;
  if (most < 4096)
    image.remark =
        "16-bit samples none of which is above 4,095 (12 bits): the upper 8 of the 16 bits are "
        "taken, so that the image comes out nearly black; scale such files first";
  return image;
}

}  // namespace

Image decode_with_stb(std::span<const std::byte> bytes, const std::string& name,
                      const GreyWindow& window) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  int width = 0, height = 0, stored = 0;
  largest_block = size_t{1} << 20;
  memory_ran_out = false;
  const bool is_known = stbi_info_from_memory(data, size, &width, &height, &stored);
  height = height == INT_MIN ? 0 : std::abs(height);  // below 0: a BMP whose top row comes first
  GRAFT_CHECK(is_known && width > 0 && height > 0, name,
              ": broken image: its header cannot be read");
  GRAFT_CHECK(int64_t{width} * height <= image_pixel_limit(), name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  const int channels = stored <= 2 ? 1 : 3;
  // Four samples of 16 bits and a filter byte a row, once doubled; or the file's packed data,
  // gathered by doubling.
  largest_block = std::max(2 * (static_cast<size_t>(width) * 8 + 2) * static_cast<size_t>(height),
                           2 * bytes.size()) +
                  (size_t{1} << 16);
  if (stbi_is_16_bit_from_memory(data, size)) {
    const std::unique_ptr<stbi_us, void (*)(void*)> samples(
        stbi_load_16_from_memory(data, size, &width, &height, &stored, channels), stbi_image_free);
    GRAFT_CHECK(samples != nullptr, name, ": broken image: its pixels cannot be decoded");
    if (window.is_given() && channels == 1) return in_window(samples.get(), width, height, window);
    return upper_halves(samples.get(), width, height, channels);
  }
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &width, &height, &stored, channels), stbi_image_free);
  if (!pixels && memory_ran_out) fail(ErrorCode::resource, name, ": no memory to decode it");
  GRAFT_CHECK(pixels != nullptr, name, ": broken image: its pixels cannot be decoded");
  Image image{width, height, channels,
              Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  std::copy_n(pixels.get(), image.pixels.numel(), image.pixels.mutable_data<uint8_t>());
  if (window.is_given()) image.remark = kNoWindowRemark;
  return image;
}

}  // namespace graft::io
