// InputMaker: the bits of the plain path (decode, resize, crop, mirror, normalise) on every
// instruction set, and how far shrunk decoding is from it.
#include "graft/io/input.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/images/jpeg.h"

namespace graft::io {
namespace {

const std::vector<std::string> kFiles = {
    "baseline.jpg", "no_subsampling.jpg", "halved.jpg", "progressive.jpg", "restarts.jpg",
    "grey.jpg",     "cmyk.jpg",           "rgb.png",    "grey.png"};

std::string path_of(const std::string& name) {
  return std::string(GRAFT_TEST_DATA "/images/") + name;
}

std::vector<std::string> oriented() {
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : file_system().list(GRAFT_TEST_DATA "/images"))
    if (entry.name.find("exif_") != std::string::npos && lower_extension(entry.name) == ".jpg")
      names.push_back(entry.name);
  return names;
}

class Photos final : public Dataset {
 public:
  Photos() : names_(kFiles) {
    const auto turned = oriented();
    names_.insert(names_.end(), turned.begin(), turned.end());
  }
  int64_t size() const override { return std::ssize(names_); }
  int64_t label(int64_t) const override { return 0; }
  Image image(int64_t i) const override { return read_image(name(i)); }
  std::string name(int64_t i) const override { return path_of(names_[static_cast<size_t>(i)]); }
  std::string fingerprint() const override { return "photos"; }
  bool encoded(int64_t i, std::vector<std::byte>& bytes) const override {
    bytes = read_file(name(i), 1 << 20);
    return true;
  }

 private:
  std::vector<std::string> names_;
};

Preprocess described(int64_t resize_to, int64_t size, int64_t channels) {
  Preprocess p;
  p.resize_to = resize_to;
  p.size = size;
  p.channels = channels;
  p.bgr = channels == 3;
  p.mean.resize(static_cast<size_t>(channels));
  p.deviation.resize(static_cast<size_t>(channels));
  return p;
}

// What the plain functions make of a sample.
std::vector<float> plain(const Image& image, const Preprocess& p, const Augment& augment,
                         CountedRandom* random) {
  std::vector<float> out(static_cast<size_t>(p.pixels() * p.channels));
  p.normalise_into(random ? augmented(image, p, augment, *random) : p.geometry(image), out.data());
  return out;
}

TEST(InputMaker, IsThePlainPathBitForBit) {
  const Photos photos;
  EXPECT_GE(photos.size(), 10);  // the turned ones are there
  for (const InstructionSet set :
       {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512}) {
    if (set > machine_instruction_set()) continue;
    ExecContext context(1, set);
    const ScopedExecContext scope(context);
    for (const int64_t channels : {3, 1})
      for (const auto& [resize_to, size] :
           {std::pair<int64_t, int64_t>{40, 32}, {0, 28}, {24, 32}, {100, 64}})
        for (const char* name : {"none", "light", "strong", "trivial"}) {
          const Preprocess p = described(resize_to, size, channels);
          const Augment augment = augment_named(name);
          InputMaker maker(
              p, augment);  // one for all, as in a loader: nothing of one sample shows in the next
          std::vector<float> out(static_cast<size_t>(size * size * channels));
          for (int64_t i = 0; i < photos.size(); ++i)
            for (uint64_t draw = 0; draw < 3; ++draw) {
              CountedRandom a(1, RandomPurpose::augmentation, draw, static_cast<uint64_t>(i)),
                  b = a;
              const bool changes = augment.any();
              maker.input(photos, i, changes ? &a : nullptr, out.data());
              ASSERT_EQ(out, plain(photos.image(i), p, augment, changes ? &b : nullptr))
                  << photos.name(i) << " " << name << " " << resize_to << " " << size << " "
                  << channels << " " << name_of(set);
            }
        }
  }
}

TEST(InputMaker, SidesThatDiffer) {
  const Photos photos;
  for (const char* fit : {"squash", "crop", "pad"})
    for (const char* name : {"none", "strong", "rand"}) {
      Preprocess p = described(0, 20, 3);
      p.set_size(20, 44);
      p.set_fit(fit);
      Augment augment = augment_named(name);
      if (std::string(name) == "rand") augment.erase = 0.5;
      InputMaker maker(p, augment);
      std::vector<float> out(static_cast<size_t>(p.pixels() * 3));
      for (int64_t i = 0; i < photos.size(); ++i) {
        CountedRandom a(1, RandomPurpose::augmentation, 0, static_cast<uint64_t>(i)), b = a;
        maker.input(photos, i, augment.any() ? &a : nullptr, out.data());
        ASSERT_EQ(out, plain(photos.image(i), p, augment, augment.any() ? &b : nullptr))
            << photos.name(i) << " " << fit << " " << name;
      }
    }
}

TEST(InputMaker, ShrunkCropsStayClose) {
  const Photos photos;
  const Preprocess p = described(0, 8, 3);
  const Augment augment = augment_named("light");
  InputMaker maker(p, augment);
  std::vector<float> out(8 * 8 * 3);
  bool any = false;
  for (int64_t i = 0; i < photos.size(); ++i)
    for (uint64_t draw = 0; draw < 20; ++draw) {
      CountedRandom a(1, RandomPurpose::augmentation, draw, static_cast<uint64_t>(i)), b = a;
      maker.input(photos, i, &a, out.data());
      const auto expected = plain(photos.image(i), p, augment, &b);
      double sum = 0;
      for (size_t k = 0; k < out.size(); ++k) sum += std::abs(out[k] - expected[k]) * 0.225 * 255;
      any = any || sum > 0;
      EXPECT_LE(sum / static_cast<double>(out.size()), 4)
          << photos.name(i);  // grey levels on average over an image
    }
  EXPECT_TRUE(any);                             // some of these photos are large enough
  maker.input(photos, 0, nullptr, out.data());  // preprocessing alone never shrinks
  EXPECT_EQ(out, plain(photos.image(0), p, augment, nullptr));
}

TEST(JpegReader, WindowsHoldThePixelsOfTheWholeImage) {
  JpegReader reader;
  CountedRandom random(3, RandomPurpose::synthetic);
  for (const char* name : {"baseline.jpg", "no_subsampling.jpg", "halved.jpg", "progressive.jpg",
                           "restarts.jpg", "grey.jpg"})
    for (const int shrink : {1, 2, 4, 8}) {
      const std::string path = path_of(name);
      const auto bytes = read_file(path, 1 << 20);
      const Image whole = decode_jpeg(bytes, path, shrink);
      for (int i = 0; i < 60; ++i) {
        PixelWindow w;
        w.left = static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.width)));
        w.top = static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.height)));
        w.right = w.left + 1 +
                  static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.width - w.left)));
        w.bottom = w.top + 1 +
                   static_cast<int64_t>(random.below(static_cast<uint64_t>(whole.height - w.top)));
        const JpegHeader header = reader.open(bytes, path);
        ASSERT_EQ((header.width + shrink - 1) / shrink, whole.width);
        int64_t y = w.top;
        reader.read(shrink, w, [&](const uint8_t* pixels) {
          const uint8_t* expected =
              whole.pixels.data<uint8_t>() + (y * whole.width + w.left) * whole.channels;
          EXPECT_EQ(std::memcmp(pixels, expected,
                                static_cast<size_t>((w.right - w.left) * whole.channels)),
                    0)
              << name << " 1/" << shrink << " row " << y << " of " << w.left << ".." << w.right
              << " x " << w.top << ".." << w.bottom;
          ++y;
        });
        ASSERT_EQ(y, w.bottom);
      }
    }
}

TEST(JpegReader, GoesOnAfterABrokenImage) {
  JpegReader reader;
  const std::string path = path_of("baseline.jpg");
  const auto bytes = read_file(path, 1 << 20);
  const std::span<const std::byte> half(bytes.data(), bytes.size() / 2);
  for (int i = 0; i < 3; ++i) {
    const JpegHeader header = reader.open(half, path);
    EXPECT_THROW(reader.read(1, {0, 0, header.width, header.height}, [](const uint8_t*) {}), Error);
    EXPECT_THROW(reader.open(std::span(bytes.data(), 20), path), Error);
    reader.open(bytes, path);
    int64_t rows = 0;
    reader.read(1, {0, 0, header.width, header.height}, [&](const uint8_t*) { ++rows; });
    EXPECT_EQ(rows, header.height);
  }
}

}  // namespace
}  // namespace graft::io
