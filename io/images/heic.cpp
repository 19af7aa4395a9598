#include "graft/io/images/heic.h"

#include <cstring>
#include <memory>

#ifdef GRAFT_HAS_HEIC
#include <libheif/heif.h>
#endif

namespace graft::io {

#ifdef GRAFT_HAS_HEIC
const bool kHasHeic = true;

namespace {

template <auto release>
struct ReleaseHeif {
  void operator()(auto* held) const { release(held); }
};
using HeifContext = std::unique_ptr<heif_context, ReleaseHeif<heif_context_free>>;
using HeifHandle = std::unique_ptr<heif_image_handle, ReleaseHeif<heif_image_handle_release>>;
using HeifPixels = std::unique_ptr<const heif_image, ReleaseHeif<heif_image_release>>;
using HeifOptions = std::unique_ptr<heif_decoding_options, ReleaseHeif<heif_decoding_options_free>>;

void check_heif_error(const heif_error& error, const std::string& name) {
  if (error.code == heif_error_Ok) return;
  if (error.code == heif_error_Memory_allocation_error &&
      error.subcode != heif_suberror_Security_limit_exceeded)
    fail(ErrorCode::resource, name, ": out of memory while decoding HEIC");
  if (error.subcode == heif_suberror_Unsupported_codec)
    bad_input(name, ": the installed libheif has no decoder for what this HEIC file holds");
  bad_input(name, ": broken HEIC: ", error.message);
}

void check_heic_size(int64_t width, int64_t height, const std::string& name) {
  GRAFT_CHECK(width >= 1 && height >= 1, name, ": broken HEIC: it has no pixels");
  GRAFT_CHECK(height <= image_pixel_limit() / width, name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
}

HeifPixels decode_main_picture(heif_context* context, const std::string& name) {
  heif_image_handle* found = nullptr;
  check_heif_error(heif_context_get_primary_image_handle(context, &found), name);
  const HeifHandle handle(found);
  check_heic_size(heif_image_handle_get_width(found), heif_image_handle_get_height(found), name);
  const HeifOptions options(heif_decoding_options_alloc());
  options->convert_hdr_to_8bit = 1;
  options->strict_decoding = 1;  // lost pixels are an error
  heif_image* decoded = nullptr;
  check_heif_error(heif_decode_image(found, &decoded, heif_colorspace_RGB,
                                     heif_chroma_interleaved_RGB, options.get()),
                   name);
  return HeifPixels(decoded);
}

}  // namespace

// libheif turns and mirrors by the file's own boxes; EXIF says nothing in this format.
Image decode_heic(std::span<const std::byte> bytes, const std::string& name) {
  const HeifContext context(heif_context_alloc());
  if (!context) fail(ErrorCode::resource, name, ": out of memory while decoding HEIC");
  heif_context_set_max_decoding_threads(context.get(), 0);  // the caller's thread
  check_heif_error(heif_context_read_from_memory_without_copy(context.get(), bytes.data(),
                                                              bytes.size(), nullptr),
                   name);
  const HeifPixels decoded = decode_main_picture(context.get(), name);
  const int64_t width = heif_image_get_width(decoded.get(), heif_channel_interleaved),
                height = heif_image_get_height(decoded.get(), heif_channel_interleaved);
  check_heic_size(width, height, name);
  int stride = 0;
  const uint8_t* rows =
      heif_image_get_plane_readonly(decoded.get(), heif_channel_interleaved, &stride);
  GRAFT_CHECK(rows != nullptr && stride >= 3 * width, name,
              ": broken HEIC: its pixels cannot be decoded");
  Image image{width, height, 3, Tensor::empty({height, width, 3}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  for (int64_t y = 0; y < height; ++y)
    std::memcpy(out + y * width * 3, rows + y * stride, static_cast<size_t>(width) * 3);
  if (heif_context_get_number_of_top_level_images(context.get()) > 1)
    image.remark = "the main one of several pictures is read";
  return image;
}
#else
const bool kHasHeic = false;

Image decode_heic(std::span<const std::byte>, const std::string& name) {
  bad_input(name, ": this graft was built without HEIC");
}
#endif

}  // namespace graft::io
