// Files of the kinds that people have, against Pillow (tests/data/images/make_formats.py).
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
  return has_image_extension(name);  // .webp and .tif only where their library was found
}

// Within `tolerance` levels of Pillow's pixels.
testing::AssertionResult is_pillows(const std::string& name, int tolerance) {
  static const StateDict goldens = read_weights(GRAFT_TEST_DATA "/images/formats.npz").tensors;
  const Tensor expected = goldens.at(name);
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

constexpr const char* kGifs[] = {"plain.gif", "interlaced.gif", "transparent.gif", "animated.gif",
                                 "grey.gif"};
constexpr const char* kWebps[] = {"lossy.webp",          "lossless.webp", "lossy_alpha.webp",
                                  "lossless_alpha.webp", "grey.webp",     "animated.webp"};
constexpr const char* kTiffs[] = {"raw.tif",       "lzw.tif",    "deflate.tif", "packbits.tif",
                                  "jpeg.tif",      "grey.tif",   "bits.tif",    "palette.tif",
                                  "alpha.tif",     "cmyk.tif",   "pages.tif",   "rgb16_little.tif",
                                  "rgb16_big.tif", "grey16.tif", "tiles.tif"};

TEST(ImageFormats, GifsAndPngsToTheBit) {
  for (const char* name : kGifs) EXPECT_TRUE(is_pillows(name, 0));
  for (const char* name : {"grey2.png", "grey4.png", "grey_transparent.png", "grey12in16.png",
                           "rgb12in16.png", "rgb.bmp"})
    EXPECT_TRUE(is_pillows(name, 0));
}

TEST(ImageFormats, Webp) {
  if (!is_built_in("a.webp")) GTEST_SKIP() << "built without libwebp";
  for (const char* name : kWebps) EXPECT_TRUE(is_pillows(name, 1));
}

TEST(ImageFormats, Tiff) {
  if (!is_built_in("a.tif")) GTEST_SKIP() << "built without libtiff";
  for (const char* name : kTiffs) EXPECT_TRUE(is_pillows(name, 1));
}

TEST(ImageFormats, AllStandUpright) {
  for (const char* end : {"png", "webp", "tif"})
    for (const int orientation : {1, 3, 6, 8}) {
      const std::string name = str("exif_", orientation, ".", end);
      if (!is_built_in(name)) continue;
      EXPECT_TRUE(is_pillows(name, 0));
    }
}

// libjpeg warns about them; every viewer shows them.
TEST(ImageFormats, JpegsWithWarnings) {
  for (const char* name :
       {"extraneous.jpg", "trailer.jpg", "jfif_version.jpg", "adobe_transform.jpg", "no_end.jpg",
        "fill_bytes.jpg", "junk_between.jpg"})
    EXPECT_TRUE(is_pillows(name, 1));
  EXPECT_TRUE(is_pillows("ycck.jpg", 2));
}

TEST(ImageFormats, WhatAUserShouldKnowIsARemark) {
  const auto remark = [](const char* name) { return read_image(sample(name)).remark; };
  EXPECT_EQ(remark("animated.gif"), "the first of several frames is read");
  EXPECT_EQ(remark("plain.gif"), "");
  EXPECT_NE(remark("grey12in16.png").find("12 bits"), std::string::npos);
  EXPECT_NE(remark("rgb12in16.png").find("12 bits"), std::string::npos);
  EXPECT_EQ(read_image(GRAFT_TEST_DATA "/images/rgb16.png").remark, "");
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
                           "tiles.tif", "deflate.tif"}) {
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
  for (const char* name : {"plain.gif", "lossy.webp", "lossless.webp", "animated.webp", "lzw.tif",
                           "jpeg.tif", "tiles.tif", "palette.tif", "bits.tif"}) {
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

TEST(ImageFormats, WhatIsNotReadIsNamed) {
  const auto says = [](const std::string& bytes) {
    return complaint_about(std::as_bytes(std::span(bytes)));
  };
  EXPECT_NE(says(std::string("\0\0\0\x1c"
                             "ftypavif\0\0\0\0",
                             16))
                .find("AVIF images are not read"),
            std::string::npos);
  EXPECT_NE(says(std::string("\0\0\0\x1c"
                             "ftypheic\0\0\0\0",
                             16))
                .find("HEIC images are not read"),
            std::string::npos);
  for (const char* name : {"a.JFIF", "a.jpe", "b/c.gif", "x.PNG"})
    EXPECT_TRUE(has_image_extension(name)) << name;
  for (const char* name : {"a.heic", "a.avif", "a", "a.mp4"})
    EXPECT_FALSE(has_image_extension(name)) << name;
  EXPECT_TRUE(is_named_for("a.jpeg", "JPEG"));
  EXPECT_FALSE(is_named_for("a.jpg", "GIF"));
  EXPECT_TRUE(is_named_for("a", "GIF"));
}

}  // namespace
}  // namespace graft::io
