// DICOM, NIfTI and grey of more than 8 bits: the levels that pydicom and nibabel give, windows, and
// files that are damaged or of kinds that are not read.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/images/nifti.h"
#include "graft/io/input.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

namespace fs = std::filesystem;

std::string medical(const std::string& name) {
  return std::string(GRAFT_TEST_DATA "/images/medical/") + name;
}
std::vector<std::byte> bytes_of(const std::string& name) {
  return read_file(medical(name), 1 << 20);
}
std::string refusal(const std::vector<std::byte>& bytes, const std::string& name = "x") {
  try {
    decode_image(bytes, name);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "";
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void expect_levels(const Image& image, const std::vector<int>& expected, const std::string& what) {
  ASSERT_EQ(image.channels, 1) << what;
  ASSERT_EQ(image.pixels.numel(), std::ssize(expected)) << what;
  const uint8_t* level = image.pixels.data<uint8_t>();
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(level[i], expected[i], 1) << what << " pixel " << i;
}

// Within a level: where pydicom's rounding of a half is another.
TEST(MedicalImages, EqualPydicomAndNibabel) {
  const auto goldens = nlohmann::json::parse(read_text_file(medical("expected.json"), 1 << 20));
  EXPECT_GE(goldens.size(), 20u);
  for (const auto& [key, levels] : goldens.items()) {
    const size_t mark = key.find(" window ");
    const GreyWindow window =
        mark == std::string::npos ? GreyWindow{} : grey_window(key.substr(mark + 8));
    const std::string path = medical(key.substr(0, mark));
    if (has(key, ".tif") && !is_read_format("TIFF")) continue;
    const std::vector<std::byte> bytes = read_file(slice_path(path).file, 1 << 20);
    expect_levels(decode_image(bytes, path, window), levels.get<std::vector<int>>(), key);
  }
}

TEST(MedicalImages, WhatWasDoneWithManyBitsIsSaid) {
  const auto remark = [](const std::string& name, const GreyWindow& window = {}) {
    return decode_image(bytes_of(slice_path(name).file), name, window).remark;
  };
  EXPECT_TRUE(has(remark("ct_explicit.dcm"), "by the window in the file"));
  EXPECT_EQ(remark("ct_explicit.dcm", {40, 400}), "");
  EXPECT_TRUE(has(remark("no_window.dcm"), "DICOM without a window"));
  EXPECT_EQ(remark("byte.dcm"), "");
  EXPECT_EQ(remark("frames.dcm"), "the first of several frames is read");
  EXPECT_TRUE(has(remark("i16.nii"), "NIfTI without a window"));
  EXPECT_TRUE(has(remark("i16.nii"), "the middle slice is read"));
  EXPECT_FALSE(has(remark("i16.nii#1"), "middle"));
  EXPECT_TRUE(has(remark("cal.nii.gz#2"), "cal_min and cal_max"));
  EXPECT_EQ(remark("i16.nii#1", {500, 1000}), "");
  EXPECT_TRUE(has(remark("four.nii#0"), "the first of several volumes is read"));
  EXPECT_TRUE(has(remark("deep.png"), "the upper 8 of the 16 bits"));
  EXPECT_EQ(remark("deep.png", {20000, 30000}), "");
  if (is_read_format("TIFF")) {
    EXPECT_TRUE(has(remark("deep.tif"), "the upper 8 of the 16 bits"));
    EXPECT_EQ(remark("deep.tif", {20000, 30000}), "");
  }
  const std::vector<std::byte> jpeg = read_file(GRAFT_TEST_DATA "/images/baseline.jpg", 1 << 20);
  EXPECT_TRUE(has(decode_image(jpeg, "baseline.jpg", {100, 200}).remark, "without the window"));
  EXPECT_EQ(decode_image(jpeg, "baseline.jpg").remark, "");
}

TEST(MedicalImages, OtherKindsAreRefusedByName) {
  EXPECT_TRUE(has(refusal(bytes_of("rle.dcm")), "transfer syntax RLE Lossless is not read"));
  EXPECT_TRUE(has(refusal(bytes_of("jpeg2000.dcm")), "transfer syntax JPEG 2000 Lossless"));
  EXPECT_TRUE(has(refusal(bytes_of("big_endian.dcm")), "Explicit VR Big Endian"));
  EXPECT_TRUE(
      has(refusal(bytes_of("i16.nii"), "i16.nii#5"), "there is no slice 5, the volume has 5"));
  std::vector<std::byte> complex = bytes_of("i16.nii");
  complex[70] = std::byte{32};
  EXPECT_TRUE(has(refusal(complex), "data type 32 is not read"));
}

TEST(MedicalImages, AreKnownByTheirBytesAndNames) {
  EXPECT_EQ(image_format(bytes_of("byte.dcm")), "DICOM");
  EXPECT_EQ(image_format(bytes_of("i16.nii")), "NIfTI");
  std::vector<std::byte> packed = bytes_of("i16.nii.gz");
  EXPECT_EQ(image_format(packed), "NIfTI");
  packed.resize(kFormatBytes);
  EXPECT_EQ(image_format(packed), "NIfTI");
  for (const char* name : {"a.dcm", "a.DCM", "a.nii", "a.nii.gz", "A.NII.GZ", "a.nii.gz#3"})
    EXPECT_TRUE(has_image_extension(name)) << name;
  EXPECT_FALSE(has_image_extension("a.gz"));
  EXPECT_TRUE(is_named_for("a.nii.gz", "NIfTI"));
  EXPECT_EQ(slice_path("d/a.nii#12").file, "d/a.nii");
  EXPECT_EQ(slice_path("d/a.nii#12").slice, 12);
  for (const char* plain : {"a.nii", "a.png#3", "a.nii#", "a.nii#x", "a.nii#-1", "a.nii#3x", "#3"})
    EXPECT_EQ(slice_path(plain).slice, -1) << plain;
}

TEST(MedicalImages, DamageIsAnErrorOfTheFile) {
  for (const char* name : {"ct_explicit.dcm", "ct_implicit.dcm", "jpeg.dcm", "i16.nii", "big.nii",
                           "cal.nii.gz", "four.nii"}) {
    const std::vector<std::byte> whole = bytes_of(name);
    for (size_t size = 0; size < std::min<size_t>(whole.size(), 1300); size += 1 + size / 40) {
      const std::vector<std::byte> cut(whole.begin(),
                                       whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_NE(refusal(cut), "") << name << " cut to " << size;
    }
    for (size_t at = 0; at < std::min<size_t>(whole.size(), 1000); at += 3)
      for (const int value : {0, 255}) {
        std::vector<std::byte> changed = whole;
        changed[at] = std::byte(value);
        (void)refusal(changed);  // an image, or bad_input
      }
  }
}

// Elements that promise what is not there.
TEST(MedicalImages, HostileDicomsAreRefused) {
  const auto with = [](std::initializer_list<int> tail) {
    std::vector<std::byte> bytes = bytes_of("byte.dcm");
    const std::vector<std::byte> syntax = [] {
      std::vector<std::byte> text;
      for (const char c : std::string("1.2.840.10008.1.2.1")) text.push_back(std::byte(c));
      return text;
    }();
    const auto at = std::search(bytes.begin(), bytes.end(), syntax.begin(), syntax.end());
    bytes.erase(at + std::ssize(syntax) + 1, bytes.end());  // and the zero that makes it even
    // What stands behind it in group 2 is cut off; elements of the data set follow.
    for (const int value : tail) bytes.push_back(std::byte(value));
    return bytes;
  };
  EXPECT_TRUE(has(refusal(with({})), "a DICOM without pixels"));
  // (0008,1140) SQ of undefined length in which sequences are nested 17 deep.
  std::vector<std::byte> deep = with({});
  for (int depth = 0; depth < 40; ++depth) {
    for (const int value :
         std::initializer_list<int>{0x08, 0, 0x40, 0x11, 'S', 'Q', 0, 0, 255, 255, 255, 255})
      deep.push_back(std::byte(value));
    for (const int value : {0xfe, 0xff, 0x00, 0xe0, 255, 255, 255, 255})
      deep.push_back(std::byte(value));
  }
  EXPECT_TRUE(has(refusal(deep), "nested more than 16 deep"));
  EXPECT_TRUE(
      has(refusal(with({0x28, 0, 0x10, 0, 'U', 'S', 255, 255, 1, 0})), "cut off at offset"));
  EXPECT_TRUE(has(refusal(with({0x28, 0, 0x10, 0, 'u', 's', 2, 0, 1, 0})), "no element at offset"));
  EXPECT_TRUE(has(refusal(with({0x08, 0,   0x40, 0x11, 'S',  'Q', 0, 0, 255, 255,
                                255,  255, 0x28, 0,    0x10, 0,   2, 0, 0,   0})),
                  "no item at offset"));
}

TEST(MedicalImages, HostileVolumesAreRefused) {
  std::vector<std::byte> wide = bytes_of("i16.nii");
  for (const size_t axis : {1, 2, 3}) wide[40 + 2 * axis] = wide[41 + 2 * axis] = std::byte{0x7f};
  EXPECT_TRUE(has(refusal(wide), "larger than the limit"));
  std::vector<std::byte> negative = bytes_of("i16.nii");
  negative[43] = std::byte{0xff};
  EXPECT_TRUE(has(refusal(negative), "broken NIfTI: a volume of"));
  std::vector<std::byte> longer = bytes_of("i16.nii");
  longer[46] = std::byte{200};
  EXPECT_TRUE(has(refusal(longer), "the header promises"));
}

TEST(GreyWindows, AreLinear) {
  const GreyWindow window = grey_window("40,400");
  EXPECT_EQ(window.level(-160), 0);
  EXPECT_EQ(window.level(-1000), 0);
  EXPECT_EQ(window.level(240), 255);
  EXPECT_EQ(window.level(1e9), 255);
  EXPECT_EQ(window.level(40), 128);
  EXPECT_EQ(window.level(NAN), 0);
  EXPECT_EQ(grey_window("-0.5,1e-3"), (GreyWindow{-0.5, 1e-3}));
  for (const char* none : {"", "40", "40,", "40,0", "40,-1", "a,b", "1,2,3", "nan,1", "0,inf"})
    EXPECT_THROW(grey_window(none), Error) << none;
}

// The card's window is used on the way into the network, for files and slices.
TEST(GreyWindows, StandInThePreprocessing) {
  Preprocess p = imagenet_preprocess(8);
  p.set_fit("squash");
  EXPECT_FALSE(has(p.to_json(), "window"));
  p.window = {40, 400};
  EXPECT_EQ(Preprocess::from_json(p.to_json()), p);
  Preprocess wrong = p;
  wrong.window.width = -1;
  EXPECT_THROW(wrong.validate(), Error);

  const TemporaryFolder folder;
  for (const char* label : {"a", "b"}) fs::create_directories(folder / label);
  fs::copy_file(medical("ct_implicit.dcm"), folder / "a/x.dcm");
  fs::copy_file(medical("i16.nii"), folder / "b/y.nii");
  const OpenedData data = open_data(folder / "", {.val_split = 0});
  ASSERT_EQ(data.train->size(), 2);
  std::vector<float> with(8 * 8 * 3), without(8 * 8 * 3);
  for (int64_t i = 0; i < 2; ++i) {
    p.window = {300, 5000};
    InputMaker(p, {}).input(*data.train, i, nullptr, with.data());
    p.window = {};
    InputMaker(p, {}).input(*data.train, i, nullptr, without.data());
    EXPECT_NE(with, without) << data.train->name(i);
    EXPECT_EQ(data.train->header(i).channels, 1);
    EXPECT_GT(data.train->header(i).width, 0);
  }
}

TEST(MedicalImages, ATableNamesSlices) {
  const TemporaryFolder folder;
  fs::copy_file(medical("i16.nii.gz"), folder / "v.nii.gz");
  write_file_atomically(folder / "t.csv", "path,label\nv.nii.gz#0,low\nv.nii.gz#4,high\n");
  const OpenedData data = open_data(folder / "t.csv", {.val_split = 0});
  ASSERT_EQ(data.train->size(), 2);
  EXPECT_EQ(data.train->image(0).width, 12);
  const auto sum = [&](int64_t i) {
    const Image image = data.train->image(i);
    int64_t all = 0;
    for (int64_t p = 0; p < image.pixels.numel(); ++p) all += image.pixels.data<uint8_t>()[p];
    return all;
  };
  EXPECT_LT(sum(0), sum(1)) << "both of the volume's range";
  EXPECT_FALSE(data.train->is_changed(1));
}

}  // namespace
}  // namespace graft::io
