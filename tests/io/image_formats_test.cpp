// Files of the kinds that people have, against Pillow (make_formats.py and make_boxed.py in
// tests/data/images).
#include <gtest/gtest.h>

#include <cstdlib>

#include "graft/core/base/file_system.h"
#include "graft/io/images/image.h"
#include "graft/io/weights/weights.h"

namespace graft::io {
namespace {

std::string sample(const std::string& name) {
  return std::string(GRAFT_TEST_DATA "/images/formats/") + name;
}

bool is_built_in(const std::string& name) {
  return has_image_extension(name);  // .webp, .tif, .avif, .heic only where their library was found
}

// Within `tolerance` levels of Pillow's pixels.
testing::AssertionResult is_pillows(const std::string& name, int tolerance) {
  static const StateDict goldens = read_weights(GRAFT_TEST_DATA "/images/formats.npz").tensors,
                         boxed = read_weights(GRAFT_TEST_DATA "/images/boxed.npz").tensors;
  const Tensor expected = goldens.contains(name) ? goldens.at(name) : boxed.at(name);
  const int64_t channels = expected.rank() == 2 ? 1 : expected.size(2);
  Image image;
  try {
    image = read_image(sample(name));
  } catch (const Error& error) {
    return testing::AssertionFailure() << error.what();
  }
  if (image.height != expected.size(0) || image.width != expected.size(1) ||
      image.channels != channels)
    return testing::AssertionFailure()
           << str(name, ": ", image.pixels.shape(), ", expected ", expected.shape());
  const uint8_t *a = image.pixels.data<uint8_t>(), *b = expected.data<uint8_t>();
  for (int64_t i = 0; i < expected.numel(); ++i)
    if (std::abs(a[i] - b[i]) > tolerance)
      return testing::AssertionFailure()
             << str(name, ": sample ", i, " is ", int{a[i]}, ", expected ", int{b[i]});
  return testing::AssertionSuccess();
}

constexpr const char* kExactly[] = {
    // GIF and BMP
    "plain.gif", "interlaced.gif", "transparent.gif", "animated.gif", "grey.gif", "small_frame.gif",
    "rgb.bmp", "bits.bmp", "palette8.bmp", "rgba.bmp", "top_first.bmp",
    // PNG
    "grey2.png", "grey4.png", "grey_transparent.png", "grey12in16.png", "rgb12in16.png",
    "palette1.png", "palette2.png", "palette4.png", "palette1_interlaced.png",
    "palette2_interlaced.png", "palette4_interlaced.png", "grey1_interlaced.png",
    "grey2_interlaced.png", "grey4_interlaced.png", "grey16_interlaced.png", "grey_alpha16.png",
    "rgba16.png", "rgba16_interlaced.png", "rgba_interlaced.png", "rgb_transparent.png"};
constexpr const char* kWebps[] = {"lossy.webp",          "lossless.webp", "lossy_alpha.webp",
                                  "lossless_alpha.webp", "grey.webp",     "animated.webp"};
constexpr const char* kTiffs[] = {"raw.tif",        "lzw.tif",    "deflate.tif", "packbits.tif",
                                  "jpeg.tif",       "grey.tif",   "bits.tif",    "palette.tif",
                                  "alpha.tif",      "cmyk.tif",   "pages.tif",   "rgb16_little.tif",
                                  "rgb16_big.tif",  "grey16.tif", "tiles.tif",   "predicted.tif",
                                  "strips.tif",     "planes.tif", "grey4.tif",   "white_first.tif",
                                  "black_first.tif"};
constexpr const char* kAvifs[] = {"420.avif",  "422.avif",   "444.avif",     "limited.avif",
                                  "grey.avif", "alpha.avif", "animated.avif"};
constexpr const char* kHeics[] = {"420.heic",   "422.heic",   "444.heic", "grey.heic",
                                  "alpha.heic", "pages.heic", "deep.heic"};

TEST(ImageFormats, GifsBmpsAndPngsToTheBit) {
  for (const char* name : kExactly) EXPECT_TRUE(is_pillows(name, 0));
}

TEST(ImageFormats, Webp) {
  if (!is_built_in("a.webp")) GTEST_SKIP() << "built without libwebp";
  for (const char* name : kWebps) EXPECT_TRUE(is_pillows(name, 1));
}

TEST(ImageFormats, Tiff) {
  if (!is_built_in("a.tif")) GTEST_SKIP() << "built without libtiff";
  for (const char* name : kTiffs) EXPECT_TRUE(is_pillows(name, 1));
}

TEST(ImageFormats, Avif) {
  if (!is_built_in("a.avif")) GTEST_SKIP() << "built without libavif";
  for (const char* name : kAvifs) EXPECT_TRUE(is_pillows(name, 1));
}

TEST(ImageFormats, Heic) {
  if (!is_built_in("a.heic")) GTEST_SKIP() << "built without libheif";
  // Of 10 bits: the goldens are by a newer libheif, which rounds otherwise.
  for (const char* name : kHeics)
    EXPECT_TRUE(is_pillows(name, std::string(name) == "deep.heic" ? 2 : 1));
}

TEST(ImageFormats, AllStandUpright) {
  for (const char* end : {"png", "webp", "tif", "avif", "heic"})
    for (int orientation = 1; orientation <= 8; ++orientation) {
      const std::string name = str("exif_", orientation, ".", end);
      if (!is_built_in(name)) continue;
      EXPECT_TRUE(is_pillows(name, end[0] == 'a' || end[0] == 'h'));
    }
}

// libjpeg warns about them; every viewer shows them.
TEST(ImageFormats, JpegsWithWarnings) {
  for (const char* name :
       {"extraneous.jpg", "trailer.jpg", "jfif_version.jpg", "adobe_transform.jpg", "no_end.jpg",
        "fill_bytes.jpg", "junk_between.jpg"})
    EXPECT_TRUE(is_pillows(name, 1));
}

TEST(ImageFormats, JpegsOfPrintersAndCameras) {
  for (const char* name :
       {"ycck.jpg", "rgb_adobe.jpg", "cmyk_progressive.jpg", "grey_progressive.jpg"})
    EXPECT_TRUE(is_pillows(name, 1));
}

TEST(ImageFormats, WhatAUserShouldKnowIsARemark) {
  const auto remark = [](const char* name) { return read_image(sample(name)).remark; };
  EXPECT_EQ(remark("animated.gif"), "the first of several frames is read");
  EXPECT_EQ(remark("plain.gif"), "");
  EXPECT_NE(remark("grey12in16.png").find("12 bits"), std::string::npos);
  EXPECT_NE(remark("rgb12in16.png").find("12 bits"), std::string::npos);
  EXPECT_EQ(read_image(GRAFT_TEST_DATA "/images/rgb16.png").remark, "");
  if (is_built_in("a.avif")) {
    EXPECT_EQ(remark("animated.avif"), "the first of several frames is read");
  }
  if (is_built_in("a.heic")) {
    EXPECT_EQ(remark("pages.heic"), "the main one of several pictures is read");
    EXPECT_EQ(remark("420.heic"), "");
  }
  if (is_built_in("a.webp")) {
    EXPECT_EQ(remark("animated.webp"), "the first of several frames is read");
  }
  if (is_built_in("a.tif")) {
    EXPECT_EQ(remark("pages.tif"), "the first of several pages is read");
  }
}

std::string complaint_about(std::span<const std::byte> bytes) {
  try {
    decode_image(bytes, "photo");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "";
}

TEST(ImageFormats, CutFilesAreErrors) {
  for (const char* name : {"plain.gif", "interlaced.gif", "lossy.webp", "lossless.webp", "lzw.tif",
                           "tiles.tif", "deflate.tif", "420.avif", "animated.avif", "420.heic"}) {
    if (!is_built_in(name)) continue;
    const std::vector<std::byte> whole = read_file(sample(name), 1 << 20);
    // A GIF's trailer and what stands behind a TIFF's last strip are not needed.
    const size_t end = std::string(name).ends_with(".gif") ? whole.size() - 12 : whole.size() / 2;
    for (size_t length = 0; length < end; length += 5)
      EXPECT_NE(complaint_about(std::span(whole).first(length)), "")
          << name << " cut at " << length << " of " << whole.size();
  }
}

TEST(ImageFormats, FlippedBitsNeverCrash) {
  for (const char* name :
       {"plain.gif", "lossy.webp", "lossless.webp", "animated.webp", "lzw.tif", "jpeg.tif",
        "tiles.tif", "palette.tif", "bits.tif", "420.avif", "animated.avif", "420.heic"}) {
    const std::vector<std::byte> whole = read_file(sample(name), 1 << 20);
    for (size_t i = 0; i < whole.size(); i += 1 + i / 200) {
      std::vector<std::byte> changed = whole;
      changed[i] ^= static_cast<std::byte>(1 << (i % 8));
      complaint_about(changed);
    }
  }
}

TEST(ImageFormats, HostileSizesAreRefusedBeforeDecoding) {
  std::vector<std::byte> gif = read_file(sample("plain.gif"), 1 << 20);
  for (const size_t at : {6, 7, 8, 9}) gif[at] = std::byte{0xff};
  EXPECT_NE(complaint_about(gif).find("more than the limit"), std::string::npos);
  if (!is_built_in("a.tif")) return;
  std::vector<std::byte> tiff = read_file(sample("grey16.tif"), 1 << 20);
  const auto field = [&](size_t index) { return 10 + 12 * index + 8; };  // entries begin at 10
  for (const size_t entry : {0, 1})                                      // width and height
    tiff[field(entry) + 2] = std::byte{0xff};
  EXPECT_NE(complaint_about(tiff), "");  // by libtiff for its strips, or for its pixels
}

// Sizes stand in boxes; a file whose boxes lie is refused, or decoded to its true size.
TEST(ImageFormats, HostileSizesInBoxesAreRefusedBeforeDecoding) {
  for (const char* name : {"420.avif", "420.heic"}) {
    if (!is_built_in(name)) continue;
    std::string bytes = read_text_file(sample(name), 1 << 20);
    for (size_t at = bytes.find("ispe"); at != std::string::npos; at = bytes.find("ispe", at + 1))
      bytes.replace(at + 8, 8, std::string("\0\0\x7f\0\0\0\x7f\0", 8));
    const auto damaged = std::as_bytes(std::span(bytes));
    if (!complaint_about(damaged).empty()) continue;
    EXPECT_EQ(std::string(name), "420.heic");  // libheif reads the size from the picture
    EXPECT_EQ(decode_image(damaged, name).width, read_image(sample(name)).width);
  }
}

TEST(ImageFormats, FormatsInBoxesAreToldApartByTheirBrands) {
  const auto format = [](const std::string& brands) {
    const std::string bytes = std::string("\0\0\0", 3) + static_cast<char>(12 + brands.size()) +
                              "ftyp" + brands.substr(0, 4) + std::string(4, '\0') +
                              brands.substr(4);
    return image_format(std::as_bytes(std::span(bytes)));
  };
  EXPECT_EQ(format("avif"), "AVIF");
  EXPECT_EQ(format("avismif1"), "AVIF");
  EXPECT_EQ(format("heic"), "HEIC");
  EXPECT_EQ(format("mif1mif1avifmiaf"), "AVIF");
  EXPECT_EQ(format("mif1mif1heicmiaf"), "HEIC");
  EXPECT_EQ(format("isommp41"), "");
}

TEST(ImageFormats, WhatIsNotReadIsNamed) {
  const auto says = [](const std::string& bytes) {
    return complaint_about(std::as_bytes(std::span(bytes)));
  };
  for (const char* format : {"AVIF", "HEIC"}) {
    const std::string brand = format == std::string("AVIF") ? "avif" : "heic",
                      words = says(std::string("\0\0\0\x10", 4) + "ftyp" + brand +
                                   std::string(4, '\0'));
    const char* expected = is_read_format(format) ? "broken " : "this graft was built without ";
    EXPECT_NE(words.find(expected + std::string(format)), std::string::npos) << words;
  }
  for (const char* name : {"a.JFIF", "a.jpe", "b/c.gif", "x.PNG"})
    EXPECT_TRUE(has_image_extension(name)) << name;
  for (const char* name : {"a.heics", "a", "a.mp4"})
    EXPECT_FALSE(has_image_extension(name)) << name;
  EXPECT_TRUE(is_named_for("a.jpeg", "JPEG"));
  EXPECT_FALSE(is_named_for("a.jpg", "GIF"));
  EXPECT_TRUE(is_named_for("a", "GIF"));
}

}  // namespace
}  // namespace graft::io
