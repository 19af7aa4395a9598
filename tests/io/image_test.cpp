// Decoding and resampling against Pillow (tests/data/images/make_images.py), and what broken images
// do.
#include "graft/io/images/image.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "graft/core/base/file_system.h"
#include "graft/io/images/resize.h"
#include "graft/io/weights/weights.h"

namespace graft::io {
namespace {

std::string data(const std::string& name) { return std::string(GRAFT_TEST_DATA "/images/") + name; }

const StateDict& goldens() {
  static const StateDict tensors = read_weights(data("goldens.npz")).tensors;
  return tensors;
}

// Within `tolerance` grey levels of the golden pixels [H,W] or [H,W,3].
testing::AssertionResult looks_like(const Image& image, const std::string& golden, int tolerance) {
  const Tensor expected = goldens().at(golden);
  const int64_t channels = expected.rank() == 2 ? 1 : expected.size(2);
  if (image.height != expected.size(0) || image.width != expected.size(1) ||
      image.channels != channels ||
      !(image.pixels.shape() == Shape({image.height, image.width, image.channels})))
    return testing::AssertionFailure()
           << str(golden, ": ", image.pixels.shape(), ", expected ", expected.shape());
  const uint8_t *a = image.pixels.data<uint8_t>(), *b = expected.data<uint8_t>();
  for (int64_t i = 0; i < expected.numel(); ++i)
    if (std::abs(a[i] - b[i]) > tolerance)
      return testing::AssertionFailure()
             << str(golden, ": sample ", i, " is ", int{a[i]}, ", expected ", int{b[i]});
  return testing::AssertionSuccess();
}

std::string complaint(std::span<const std::byte> bytes) {
  try {
    decode_image(bytes, "photo");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    EXPECT_EQ(std::string(error.what()).rfind("photo: ", 0), 0u) << error.what();
    return error.what();
  }
  return "";
}

std::string complaint(const std::string& bytes) {
  return complaint(std::as_bytes(std::span(bytes)));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* kJpegs[] = {"baseline.jpg",    "no_subsampling.jpg", "halved.jpg",
                                  "progressive.jpg", "restarts.jpg",       "grey.jpg",
                                  "cmyk.jpg"};
constexpr const char* kExact[] = {"rgb.png",        "grey.png",    "rgba.png",
                                  "grey_alpha.png", "palette.png", "palette_transparent.png",
                                  "bits.png",       "rgb16.png",   "grey16.png",
                                  "interlaced.png", "rgb.bmp",     "palette.bmp",
                                  "rgb.ppm",        "grey.pgm"};

TEST(Images, JpegsOfEveryKind) {
  for (const char* name : kJpegs) EXPECT_TRUE(looks_like(read_image(data(name)), name, 1));
}

TEST(Images, LosslessFormatsToTheBit) {
  for (const char* name : kExact) EXPECT_TRUE(looks_like(read_image(data(name)), name, 0));
}

TEST(Images, ExifOrientationsStandUpright) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string name = str("exif_", orientation, ".jpg");
    const Image image = read_image(data(name));
    EXPECT_EQ(image.width, orientation >= 5 ? 16 : 24) << name;
    EXPECT_TRUE(looks_like(image, name, 2));
  }
}

TEST(Images, BrokenExifIsNoOrientation) {
  const std::string whole = read_text_file(data("exif_6.jpg"), 1 << 20);
  const size_t tiff = whole.find("Exif") + 6;
  for (size_t i = 0; i < 38; ++i)
    for (const char value : {'\0', '\x01', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[tiff + i] = value;
      const Image image = decode_image(std::as_bytes(std::span(changed)), "photo");
      EXPECT_EQ(image.width * image.height, 16 * 24) << i;
    }
}

TEST(Images, PnmHeadersAndDepths) {
  const auto decode = [](const std::string& text) {
    return decode_image(std::as_bytes(std::span(text)), "photo");
  };
  const auto values = [](const Image& image) { return image.pixels.to_doubles(); };
  EXPECT_EQ(values(decode("P5\n# a comment\n2 #another\n1\n255\nab")),
            (std::vector<double>{'a', 'b'}));
  EXPECT_EQ(values(decode(std::string("P5 2 1 1\n\0\1", 11))), (std::vector<double>{0, 255}));
  EXPECT_EQ(values(decode(std::string("P5 2 1 65535 \x80\x00\xff\xff", 17))),
            (std::vector<double>{128, 255}));
  EXPECT_EQ(values(decode("P6\t1\r1\n255\nabc")), (std::vector<double>{'a', 'b', 'c'}));
  EXPECT_TRUE(contains(complaint("P6 2 2 255 abc"), "truncated, 3 of 12 bytes"));
  EXPECT_TRUE(contains(complaint("P5 0 1 255 a"), "header"));
  EXPECT_TRUE(contains(complaint("P5 1 1 65536 aa"), "beyond 65535"));
  EXPECT_TRUE(contains(complaint("P5 1 1"), "header"));
  EXPECT_TRUE(contains(complaint("P5 #"), "header"));
  EXPECT_TRUE(contains(complaint("P5 99999999999999999999 1 255 a"), "beyond"));
}

// Every cut of every file ends in one sentence, whatever the format.
TEST(Images, TruncatedFilesAreErrors) {
  const auto check = [](const char* name) {
    const std::string whole = read_text_file(data(name), 1 << 20);
    const size_t step = whole.size() > 2000 ? 7 : 1;
    // A row's padding may be missing, and the end marker of a JPEG of one scan.
    const std::string_view kind = name;
    const bool is_one_scan = kind.ends_with(".jpg") && kind != "progressive.jpg";
    const size_t end = whole.size() - (kind.ends_with(".bmp") ? 3 : is_one_scan ? 2 : 0);
    for (size_t length = 0; length < end; length += step)
      EXPECT_NE(complaint(whole.substr(0, length)), "")
          << name << " cut at " << length << " of " << whole.size();
    EXPECT_EQ(complaint(whole), "") << name;
  };
  for (const char* name : kJpegs) check(name);
  for (const char* name : kExact) check(name);
}

TEST(Images, FlippedBitsNeverCrashAndPngsNoticeThem) {
  for (const char* name : {"baseline.jpg", "progressive.jpg", "cmyk.jpg", "rgb.png", "palette.png",
                           "bits.png", "palette.bmp", "grey.pgm"}) {
    const std::string whole = read_text_file(data(name), 1 << 20);
    int64_t unnoticed = 0;
    for (size_t i = 0; i < whole.size(); ++i) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      unnoticed += complaint(changed).empty();
    }
    const bool is_png = std::string(name).ends_with(".png");
    EXPECT_LE(unnoticed, is_png ? 0 : std::ssize(whole)) << name;
  }
}

TEST(Images, AreasBeyondTheLimitAreRefusedBeforeDecoding) {
  std::string png = read_text_file(data("rgb.png"), 1 << 20),
              jpeg = read_text_file(data("baseline.jpg"), 1 << 20);
  std::string bmp = read_text_file(data("rgb.bmp"), 1 << 20);
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\xff\x00\xff\x01", 4);  // 65280 x 65281
  EXPECT_TRUE(contains(complaint(jpeg), "65281x65280 pixels, more than the limit of 178956970"));
  EXPECT_TRUE(contains(complaint("P6 13378 13377 255 "),
                       "13378x13377 pixels, more than the limit of 178956970"));
  EXPECT_TRUE(contains(complaint("P5 13377 13377 255 "),
                       "truncated"));  // at the limit: only its bytes are missing
  bmp.replace(18, 4, "\xff\xff\xff\x7f", 4);
  EXPECT_TRUE(contains(complaint(bmp), "photo: broken BMP"));
  png.replace(16, 4, std::string("\x00\x01\x00\x00", 4));
  EXPECT_TRUE(contains(complaint(png), "checksum of IHDR"));
}

TEST(Images, TheLimitOfPixelsCanBeRaised) {
  struct Restored {
    ~Restored() { set_image_pixel_limit(kMaxImagePixels); }
  } const restored;
  set_image_pixel_limit(14000 * 14000);
  EXPECT_TRUE(contains(complaint("P5 13999 14000 255 "), "truncated"));
  EXPECT_TRUE(contains(complaint("P5 14001 14000 255 "),
                       "more than the limit of 196000000 (--max-pixels)"));
  set_image_pixel_limit(4);
  EXPECT_EQ(complaint("P5 2 2 255 abcd"), "");
  EXPECT_TRUE(contains(complaint(read_text_file(data("baseline.jpg"), 1 << 20)),
                       "more than the limit of 4"));
  EXPECT_TRUE(contains(complaint(read_text_file(data("rgb.png"), 1 << 20)), "the limit of 4"));
  for (const int64_t wrong : {int64_t{0}, int64_t{-1}, int64_t{1} << 40})
    EXPECT_THROW(set_image_pixel_limit(wrong), Error);
}

TEST(Images, OtherFilesAreNamed) {
  EXPECT_TRUE(contains(complaint(""), "empty"));
  EXPECT_TRUE(contains(complaint("hello"), "not an image"));
  EXPECT_TRUE(contains(complaint("GIF89a......"), "GIF"));
  EXPECT_TRUE(contains(complaint("RIFF....WEBP"), "WebP"));
  EXPECT_TRUE(contains(complaint("\xff\xd8\xff"), "broken JPEG"));
  EXPECT_THROW(read_image(data("absent.png")), Error);
  EXPECT_TRUE(has_image_extension("a/B.JPeG"));
  EXPECT_FALSE(has_image_extension("a.txt"));
}

TEST(Images, ChannelsComeAndGo) {
  const Image colour = read_image(data("resize.png"));
  const Image grey = with_channels(colour, 1);
  EXPECT_TRUE(looks_like(grey, "luma", 0));
  const Image again = with_channels(grey, 3);
  EXPECT_EQ(again.channels, 3);
  for (int64_t i = 0; i < grey.pixels.numel(); ++i)
    for (int64_t c = 0; c < 3; ++c)
      ASSERT_EQ(again.pixels.data<uint8_t>()[3 * i + c], grey.pixels.data<uint8_t>()[i]);
  EXPECT_TRUE(with_channels(colour, 3).pixels.is_same(colour.pixels));
  EXPECT_THROW(with_channels(colour, 4), Error);
}

class Resizing : public testing::TestWithParam<Interpolation> {
 protected:
  std::string kind() const {
    return GetParam() == Interpolation::bilinear ? "bilinear" : "bicubic";
  }
  Image source_ = read_image(data("resize.png"));
};

// Pillow 13 shrinks rows before columns where that is less work; graft always takes columns first.
// Bicubic weights overshoot, what is clipped in between is lost, and so the order shows.
TEST_P(Resizing, IsPillowsWithinOneGreyLevel) {
  constexpr int64_t sizes[][2] = {{32, 32}, {97, 20}, {13, 61}, {150, 90},
                                  {1, 1},   {96, 60}, {200, 7}};
  for (const auto& [width, height] : sizes) {
    const int tolerance = GetParam() == Interpolation::bicubic && width == 200 ? 4 : 1;
    EXPECT_TRUE(looks_like(resize(source_, width, height, GetParam()),
                           str("resize/", kind(), "/", width, "x", height), tolerance));
  }
  EXPECT_TRUE(
      looks_like(resize(with_channels(source_, 1), 40, 30, GetParam()), "grey/" + kind(), 1));
  EXPECT_TRUE(
      looks_like(resize(source_, 24, 24, {10.5, 7.25, 70.75, 50}, GetParam()), "box/" + kind(), 1));
}

TEST_P(Resizing, AWindowIsTheCropOfTheWhole) {
  const Image whole = resize(source_, 60, 40, GetParam());
  const ResizedWindow windows[] = {{60, 40, 10, 5, 20, 30},
                                   {60, 40, 0, 0, 60, 40},
                                   {60, 40, -7, -3, 74, 50},
                                   {60, 40, 55, 35, 20, 20},
                                   {60, 40, 70, 0, 4, 4}};
  for (const ResizedWindow& w : windows) {
    const Image part = resize_window(source_, w, GetParam());
    ASSERT_EQ(part.pixels.shape(), Shape({w.height, w.width, 3}));
    for (int64_t y = 0; y < w.height; ++y)
      for (int64_t x = 0; x < w.width; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          const int64_t sx = x + w.x0, sy = y + w.y0;
          const bool inside = sx >= 0 && sx < 60 && sy >= 0 && sy < 40;
          const int expected = inside ? whole.pixels.data<uint8_t>()[(sy * 60 + sx) * 3 + c] : 0;
          ASSERT_EQ(part.pixels.data<uint8_t>()[(y * w.width + x) * 3 + c], expected)
              << x << " " << y;
        }
  }
}

TEST_P(Resizing, ImpossibleSizesAreErrors) {
  EXPECT_THROW(resize(source_, 0, 4, GetParam()), Error);
  EXPECT_THROW(resize(source_, 13378, 13377, GetParam()), Error);
  EXPECT_THROW(resize(source_, int64_t{1} << 62, 4, GetParam()), Error);
  EXPECT_THROW(resize(source_, 4, 4, {0, 0, 98, 61}, GetParam()), Error);
  EXPECT_THROW(resize(source_, 4, 4, {5, 0, 5, 61}, GetParam()), Error);
  EXPECT_THROW(resize(source_, 4, 4, {std::nan(""), 0, 5, 61}, GetParam()), Error);
  EXPECT_THROW(resize_window(source_, {0, 4, 0, 0, 4, 4}, GetParam()), Error);
  EXPECT_THROW(resize_window(source_, {4, 4, 0, 0, int64_t{1} << 40, int64_t{1} << 40}, GetParam()),
               Error);
}

INSTANTIATE_TEST_SUITE_P(Images, Resizing,
                         testing::Values(Interpolation::bilinear, Interpolation::bicubic),
                         [](const auto& kind) {
                           return kind.param == Interpolation::bilinear ? "bilinear" : "bicubic";
                         });

}  // namespace
}  // namespace graft::io
