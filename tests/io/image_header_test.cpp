// Decoders' memory: foretold from headers, kept within at the gate, refused by name.
#include "graft/io/images/image_header.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "graft/core/base/error.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/decode_gate.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

ImageHeader header_of(const std::string& path) {
  return read_image_header(*file_system().open_read(path));
}

std::string carried(const char* name) {
  return std::string(GRAFT_SOURCE_DIR "/tests/fuzz/corpus/image/") + name;
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

std::string chunk(const std::string& kind, const std::string& data) {
  const std::string body = kind + data;
  return big_endian(static_cast<uint32_t>(data.size())) + body +
         big_endian(static_cast<uint32_t>(
             crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size())));
}

// A PNG's header alone, as large as it says it is.
std::string png_header(uint32_t width, uint32_t height, int depth, int type, int interlaced = 0) {
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", big_endian(width) + big_endian(height) + static_cast<char>(depth) +
                           static_cast<char>(type) + std::string(2, '\0') +
                           static_cast<char>(interlaced)) +
         chunk("IDAT", "");
}

std::string whole_png(int side, int depth, int type) {
  const int samples = type == 2 ? 3 : type == 6 ? 4 : type == 4 ? 2 : 1;
  const std::string row(1 + static_cast<size_t>(side * samples * depth / 8), '\0');
  std::string rows;
  for (int i = 0; i < side; ++i) rows += row;
  std::string packed(compressBound(rows.size()), '\0');
  uLongf length = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &length,
           reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  packed.resize(length);
  const auto edge = static_cast<uint32_t>(side);
  std::string png = png_header(edge, edge, depth, type);
  png.resize(png.size() - chunk("IDAT", "").size());
  return png + chunk("IDAT", packed) + chunk("IEND", "");
}

TEST(ImageHeaders, SizesAreThoseOfTheDecodedImage) {
  for (const char* name :
       {"baseline.jpg", "grey.jpg", "progressive.jpg", "restarts.jpg", "no_subsampling.jpg",
        "halved.jpg", "exif_1.jpg", "bits.png", "palette.png", "grey_alpha.png",
        "palette_transparent.png", "palette.bmp"}) {
    const ImageHeader header = header_of(carried(name));
    const Image image = read_image(carried(name));
    EXPECT_EQ(header.width, image.width) << name;
    EXPECT_EQ(header.height, image.height) << name;
    if (std::string(name) != "palette.bmp") {
      EXPECT_EQ(header.channels, image.channels) << name;
    }
    EXPECT_GT(header.decode_bytes, image.pixels.bytes()) << name;
  }
}

// 12 and 64 million pixels. A JPEG that is not progressive passes through in rows.
TEST(ImageHeaders, BigImagesAreCounted) {
  const TemporaryFolder folder;
  const int64_t mib = 1 << 20, pixels = int64_t{8192} * 8192;
  const auto png = [&](int depth, int type, int interlaced) {
    write_bytes(folder / "a.png", png_header(8192, 8192, depth, type, interlaced));
    return header_of(folder / "a.png").decode_bytes;
  };
  EXPECT_GE(png(8, 2, 0), pixels * (3 + 3)) << "unpacked rows and pixels";
  EXPECT_LE(png(8, 2, 0), pixels * (3 + 3) + 2 * mib);
  EXPECT_GE(png(16, 6, 0), pixels * (8 + 8));
  EXPECT_GT(png(8, 2, 1), png(8, 2, 0));
  EXPECT_GE(png(8, 3, 0), pixels * (1 + 1 + 3)) << "indices and colours";
  // SOI, APP1, a frame header of 4000x3000 in three components at 2x2, 1x1, 1x1, a scan.
  const auto jpeg = [&](char frame, char in_scan) {
    const std::string body =
        std::string("\x08\x0b\xb8\x0f\xa0\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01", 15);
    write_bytes(folder / "a.jpg",
                std::string("\xff\xd8\xff", 3) + frame + std::string("\0\x11", 2) + body +
                    std::string("\xff\xda\0\x0c", 4) + in_scan + std::string(20, '\0'));
    const ImageHeader header = header_of(folder / "a.jpg");
    EXPECT_EQ(header.width, 4000);
    EXPECT_EQ(header.height, 3000);
    return header.decode_bytes;
  };
  EXPECT_LE(jpeg('\xc0', 3), 2 * mib);
  EXPECT_GE(jpeg('\xc2', 3), 4000 * 3000 * 3) << "progressive: 16-bit coefficients, 4:2:0";
  EXPECT_EQ(jpeg('\xc0', 1), jpeg('\xc2', 3)) << "a scan a component keeps them too";
}

TEST(ImageHeaders, WhatCannotBeReadIsZeros) {
  const TemporaryFolder folder;
  for (const std::string& bytes :
       {std::string(), std::string("x"), std::string("\xff\xd8"),
        std::string("\xff\xd8\xff\xe1\0\x02", 6), std::string("\xff\xd8\xff\xc0\xff\xff", 6),
        std::string("\x89PNG\r\n\x1a\n"), std::string("BM"), png_header(0, 5, 8, 2),
        png_header(0x80000000u, 5, 8, 2)}) {
    write_bytes(folder / "a", bytes);
    EXPECT_EQ(header_of(folder / "a").decode_bytes, 0) << bytes.size();
  }
}

// ---- the gate

TEST(DecodeGates, WhatCannotFitIsRefusedByNameBeforeItIsDecoded) {
  const TemporaryFolder folder;
  for (const char* label : {"a", "b"}) {
    std::filesystem::create_directories(folder / label);
    write_bytes(folder / label + "/small.png", whole_png(8, 8, 2));
  }
  // Decoding it would fail: it has no pixels. It is not even tried.
  write_bytes(folder / "b/huge.png", png_header(8000, 8000, 8, 2));
  const OpenedData data = open_data(folder.path(), {.val_split = 0});
  DecodeGate gate(int64_t{100} << 20);
  std::vector<std::string> notes;
  try {
    without_broken_images(data.train, 0.5, notes, &gate);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource);
    const std::string words = error.what();
    EXPECT_NE(words.find("b/huge.png: decoding its 8000x8000 pixels takes "), std::string::npos)
        << words;
    EXPECT_NE(words.find("100 MiB are planned"), std::string::npos) << words;
  }
  const LargestDecode largest = largest_decode(*data.train);
  EXPECT_EQ(data.train->name(largest.sample), folder / "b/huge.png");
}

// A data set that says what its samples take.
class Weighing final : public Dataset {
 public:
  int64_t size() const override { return 64; }
  int64_t label(int64_t) const override { return 0; }
  Image image(int64_t) const override { return {}; }
  std::string name(int64_t) const override { return "a sample"; }
  ImageHeader header(int64_t i) const override { return {1, 1, 1, 10 + i % 3 * 30}; }
  std::string fingerprint() const override { return ""; }
};

TEST(DecodeGates, ThreadsTogetherKeepWithin) {
  DecodeGate gate(80);
  const Weighing dataset;
  std::atomic<int64_t> taken{0}, most{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int64_t i = t; i < 64; i += 4) {
        const ScopedDecode turn(&gate, dataset, i);
        const int64_t now = taken += dataset.header(i).decode_bytes;
        for (int64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        std::this_thread::yield();
        taken -= dataset.header(i).decode_bytes;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 80);
  EXPECT_EQ(taken, 0);
}

// Whatever is decoded was foretold: its sides (turned by EXIF or not), and at least its pixels.
TEST(ImageHeader, KnowsEveryFormatThatIsRead) {
  int64_t read = 0;
  const std::filesystem::path images = GRAFT_TEST_DATA "/images";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(images)) {
    if (!entry.is_regular_file() || !has_image_extension(entry.path())) continue;
    Image image;
    try {
      image = read_image(entry.path());
    } catch (const Error&) {
      continue;  // broken on purpose
    }
    ++read;
    const ImageHeader header = header_of(entry.path());
    EXPECT_GE(header.decode_bytes, image.pixels.numel()) << entry.path();
    if (header.width == 0) {  // PNM: its size follows from the file's
      EXPECT_EQ(entry.path().extension().string().substr(0, 2), ".p") << entry.path();
      continue;
    }
    if (entry.path().extension() == ".heic") {  // coded in whole blocks, cropped when decoded
      EXPECT_GE(header.width * header.height, image.width * image.height) << entry.path();
      continue;
    }
    EXPECT_EQ(std::minmax(header.width, header.height), std::minmax(image.width, image.height))
        << entry.path();
  }
  EXPECT_GE(read, 30);
}

}  // namespace
}  // namespace graft::io
