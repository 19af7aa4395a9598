#include "graft/io/images/avif.h"

#include <memory>

#include "graft/io/images/exif.h"

#ifdef GRAFT_HAS_AVIF
#include <avif/avif.h>
#endif

namespace graft::io {

#ifdef GRAFT_HAS_AVIF
const bool kHasAvif = true;

namespace {

struct FreeAvifDecoder {
  void operator()(avifDecoder* decoder) const { avifDecoderDestroy(decoder); }
};
using AvifDecoder = std::unique_ptr<avifDecoder, FreeAvifDecoder>;

void check_avif_result(avifResult result, const std::string& name) {
  if (result == AVIF_RESULT_OK) return;
  if (result == AVIF_RESULT_OUT_OF_MEMORY)
    fail(ErrorCode::resource, name, ": out of memory while decoding AVIF");
  if (result == AVIF_RESULT_NO_CODEC_AVAILABLE)
    bad_input(name, ": the installed libavif has no decoder");
  bad_input(name, ": broken AVIF: ", avifResultToString(result));
}

// As libavif says it: turned counter-clockwise, then mirrored. EXIF says nothing in this format.
// Source: ISO/IEC 23008-12, 6.5.10 and 6.5.12; the numbers are EXIF's.
int orientation_of(const avifImage& image) {
  const bool is_mirrored = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0;
#if AVIF_VERSION >= 1000000
  const bool left_to_right = image.imir.axis != 0;
#else
  const bool left_to_right = image.imir.mode != 0;
#endif
  const int quarters = image.transformFlags & AVIF_TRANSFORM_IROT ? image.irot.angle & 3 : 0;
  constexpr int plain[] = {1, 8, 3, 6}, sides[] = {2, 7, 4, 5}, ends[] = {4, 5, 2, 7};
  return !is_mirrored ? plain[quarters] : left_to_right ? sides[quarters] : ends[quarters];
}

AvifDecoder open_avif(std::span<const std::byte> bytes, const std::string& name) {
  AvifDecoder decoder(avifDecoderCreate());
  if (!decoder) fail(ErrorCode::resource, name, ": out of memory while decoding AVIF");
  decoder->maxThreads = 1;
  decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
  // As Pillow: files that other programs write and every viewer shows lack these.
  decoder->strictFlags =
      AVIF_STRICT_ENABLED & ~(AVIF_STRICT_CLAP_VALID | AVIF_STRICT_PIXI_REQUIRED);
  check_avif_result(
      avifDecoderSetIOMemory(decoder.get(), reinterpret_cast<const uint8_t*>(bytes.data()),
                             bytes.size()),
      name);
  check_avif_result(avifDecoderParse(decoder.get()), name);  // allocates no pixels
  const int64_t width = decoder->image->width, height = decoder->image->height;
  GRAFT_CHECK(width >= 1 && height >= 1, name, ": broken AVIF: it has no pixels");
  GRAFT_CHECK(height <= image_pixel_limit() / width, name, ": ", width, "x", height,
              " pixels, more than the limit of ", image_pixel_limit(), " (--max-pixels)");
  return decoder;
}

}  // namespace

Image decode_avif(std::span<const std::byte> bytes, const std::string& name) {
  const AvifDecoder decoder = open_avif(bytes, name);
  check_avif_result(avifDecoderNextImage(decoder.get()), name);
  const avifImage& coded = *decoder->image;
  const int64_t width = coded.width, height = coded.height;
  // With alpha, which is then dropped: libavif would multiply colors by an alpha that it leaves
  // out.
  const int64_t coded_channels = coded.alphaPlane ? 4 : 3;
  const Tensor decoded = Tensor::empty({height, width, coded_channels}, {.dtype = DType::u8});
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, &coded);
  rgb.format = coded.alphaPlane ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  rgb.depth = 8;
  rgb.alphaPremultiplied = coded.alphaPremultiplied;  // colors as they are stored
  Tensor pixels = decoded;
  rgb.pixels = pixels.mutable_data<uint8_t>();
  rgb.rowBytes = static_cast<uint32_t>(coded_channels * width);
  check_avif_result(avifImageYUVToRGB(&coded, &rgb), name);
  const int64_t channels = coded.yuvFormat == AVIF_PIXEL_FORMAT_YUV400 ? 1 : 3;
  Image image{width, height, channels,
              Tensor::empty({height, width, channels}, {.dtype = DType::u8})};
  uint8_t* out = image.pixels.mutable_data<uint8_t>();
  for (int64_t i = 0; i < width * height; ++i)
    for (int64_t c = 0; c < channels; ++c) *out++ = rgb.pixels[i * coded_channels + c];
  if (decoder->imageCount > 1) image.remark = "the first of several frames is read";
  return upright(image, orientation_of(coded));
}
#else
const bool kHasAvif = false;

Image decode_avif(std::span<const std::byte>, const std::string& name) {
  bad_input(name, ": this graft was built without AVIF");
}
#endif

}  // namespace graft::io
