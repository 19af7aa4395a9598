// Images with masks: where they lie, how their values are read, and what is said of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/summary.h"
#include "graft/io/images/mask_image.h"
#include "graft/io/images/png_writer.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

using Names = std::vector<std::string>;

Image grey_of(int64_t width, int64_t height, const std::vector<uint8_t>& pixels) {
  return {width, height, 1, Tensor::of<uint8_t>({height, width, 1}, pixels)};
}

class Masks : public testing::Test {
 protected:
  void write(const std::string& name, const Image& image,
             const std::vector<uint32_t>& palette = {}) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    write_png(folder_ / name, image, palette);
  }
  void text(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    write_file_atomically(folder_ / name, content);
  }
  void grey(const std::string& name, const std::vector<uint8_t>& pixels, int64_t width = 2) {
    write(name, grey_of(width, std::ssize(pixels) / width, pixels));
  }
  void indexed(const std::string& name, const std::vector<uint8_t>& pixels,
               const std::vector<uint32_t>& palette) {
    write(name, grey_of(2, std::ssize(pixels) / 2, pixels), palette);
  }
  void color(const std::string& name, const std::vector<uint8_t>& pixels) {
    const int64_t height = std::ssize(pixels) / 6;
    write(name, {2, height, 3, Tensor::of<uint8_t>({height, 2, 3}, pixels)});
  }
  OpenedData opened(MaskOptions masks = {}, AnswerKind answers = AnswerKind::maps) {
    return open_data(folder_.path(), {.masks = masks, .answers = answers, .val_split = 0});
  }
  std::string refusal(MaskOptions masks = {}) {
    try {
      opened(masks);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "";
  }
  static bool says(const Names& sentences, const std::string& part) {
    return std::any_of(sentences.begin(), sentences.end(), [&](const std::string& sentence) {
      return sentence.find(part) != std::string::npos;
    });
  }
  static std::vector<uint8_t> map_of(const Dataset& data, int64_t i) {
    const Image map = data.map(i);
    return {map.pixels.data<uint8_t>(), map.pixels.data<uint8_t>() + map.pixels.numel()};
  }
  TemporaryFolder folder_;
};

using Pixels = std::vector<uint8_t>;

TEST_F(Masks, OfBlackAndWhiteAreClassesZeroAndOne) {
  for (const char* n : {"a", "b"}) {
    grey(str("images/", n, ".png"), {9, 8, 7, 6});
    grey(str("masks/", n, ".png"), {0, 255, 255, 0});
  }
  for (const AnswerKind asked : {AnswerKind::maps, AnswerKind::by_form}) {
    const OpenedData data = opened({}, asked);
    EXPECT_EQ(data.answers, AnswerKind::maps);
    EXPECT_EQ(data.format, "masks");
    EXPECT_EQ(data.answers_why.empty(), asked == AnswerKind::maps);
    EXPECT_EQ(data.classes, (Names{"0", "255"}));
    EXPECT_EQ(data.train->size(), 2);
    EXPECT_EQ(map_of(*data.train, 0), (Pixels{0, 1, 1, 0}));
    EXPECT_EQ(data.train->labels(1), (std::vector<int64_t>{0, 1}));
    EXPECT_EQ(data.train->map_facts(1).pixels, (std::vector<int64_t>{2, 2}));
    EXPECT_TRUE(says(data.notes, "grey levels found are 0 (50.0 %), 255 (50.0 %)"));
    EXPECT_TRUE(says(data.notes, "read as classes 0 and 1"));
  }
  EXPECT_EQ(map_of(*opened({.foreground = "0"}).train, 0), (Pixels{1, 0, 0, 1}));
  EXPECT_EQ(opened({.foreground = "0"}).classes, (Names{"255", "0"}));
  EXPECT_NE(opened().manifest_sha256, opened({.foreground = "0"}).manifest_sha256);
  EXPECT_NE(refusal({.foreground = "7"}).find("the masks have 0, 255"), std::string::npos);
  EXPECT_NE(refusal({.foreground = "white"}).find("is a number, or a color"), std::string::npos);
}

TEST_F(Masks, OfIndicesLeaveAValueOutWhereThatIsAskedFor) {
  grey("img/a.png", {1, 2, 3, 4});
  grey("mask/a.png", {0, 1, 2, 255});
  EXPECT_EQ(opened().classes, (Names{"0", "1", "2", "255"}));
  EXPECT_TRUE(says(opened().doubts, "--ignore-value 255 leaves it out"));
  const OpenedData data = opened({.ignored = "255"});
  EXPECT_EQ(data.classes, (Names{"0", "1", "2"}));
  EXPECT_EQ(map_of(*data.train, 0), (Pixels{0, 1, 2, kIgnoredPixel}));
  EXPECT_TRUE(says(data.notes, "255 (25.0 % of the pixels) counts for nothing"));
  EXPECT_TRUE(data.doubts.empty());
  EXPECT_TRUE(says(opened({.ignored = "9"}).notes, "no pixel has the value 9"));
}

TEST_F(Masks, OfAPaletteAreItsIndicesWithNames) {
  grey("JPEGImages/a.png", {1, 2, 3, 4});
  grey("JPEGImages/b.png", {1, 2, 3, 4});
  indexed("SegmentationClass/a.png", {0, 2, 2, 1}, {0x000000, 0x800000, 0x008000});
  indexed("SegmentationClass/b.png", {0, 0, 0, 0}, {0x000000, 0x800000, 0x008000});
  text("ImageSets/Segmentation/train.txt", "a\r\n");
  text("ImageSets/Segmentation/val.txt", "b\n");
  text("labelmap.txt", "# label:color\nnone:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n");
  const OpenedData data = opened();
  EXPECT_EQ(data.classes, (Names{"none", "cat", "dog"}));
  EXPECT_EQ(data.train->size(), 1);
  EXPECT_EQ(data.val->size(), 1);
  EXPECT_EQ(data.val_name, "val");
  EXPECT_EQ(map_of(*data.train, 0), (Pixels{0, 2, 2, 1}));
  EXPECT_TRUE(says(data.notes, "palette indices found are 0 none"));
}

TEST_F(Masks, OfAPaletteAreNotExpanded) {
  const MaskImage mask =
      decode_mask(png_of(grey_of(2, 2, {0, 1, 2, 0}), {0xff0000, 0x00ff00, 0x0000ff}), "m.png");
  EXPECT_EQ(mask.form, MaskForm::palette);
  EXPECT_EQ(mask.values, (std::vector<uint32_t>{0, 1, 2, 0}));
  EXPECT_EQ(mask.color_of(2), 0x0000ffu);
}

TEST_F(Masks, OfColorsAreNamedByATable) {
  color("imgs/a.png", {1, 2, 3, 4, 5, 6});
  color("labels/a.png", {0, 0, 0, 255, 0, 128});
  EXPECT_EQ(opened().classes, (Names{"#000000", "#ff0080"}));
  text("class_dict.csv", "name,r,g,b\nroad,255,0,128\nsky,0,0,0\n");
  const OpenedData data = opened();
  EXPECT_EQ(data.classes, (Names{"sky", "road"}));
  EXPECT_EQ(map_of(*data.train, 0), (Pixels{0, 1}));
  EXPECT_EQ(map_of(*opened({.ignored = "#ff0080"}).train, 0), (Pixels{0, kIgnoredPixel}));
}

TEST_F(Masks, OfSmoothedEdgesCountAsTheNearerOfBoth) {
  Pixels pixels(400, 0), image(400, 1);
  for (size_t i = 0; i < 200; ++i) pixels[i] = 255;
  for (size_t i = 0; i < 20; ++i) pixels[i] = static_cast<uint8_t>(100 + 3 * i);
  grey("image/a.png", image, 20);
  grey("label/a.png", pixels, 20);
  const OpenedData data = opened();
  EXPECT_EQ(data.classes, (Names{"0", "255"}));
  EXPECT_TRUE(says(data.doubts, "look like smoothed edges"));
  EXPECT_EQ(map_of(*data.train, 0)[0], 0);
  EXPECT_EQ(map_of(*data.train, 0)[19], 1);
  EXPECT_EQ(data.train->map_facts(0).pixels[0] + data.train->map_facts(0).pixels[1], 400);
}

TEST_F(Masks, LieInFoldersOfParts) {
  const Names layouts[] = {
      {"train/images/a", "train/masks/a", "val/images/b", "val/masks/b"},
      {"images/train/a", "masks/train/a", "images/val/b", "masks/val/b"},
      {"train/a", "train_masks/a", "val/b", "val_masks/b"},
      {"x/y/train/image/a", "x/y/train/label/a_mask", "x/y/test/image/b", "x/y/test/label/b_mask"}};
  for (const Names& layout : layouts) {
    const TemporaryFolder own;
    for (const std::string& name : layout) {
      std::filesystem::create_directories(std::filesystem::path(own / name).parent_path());
      write_png(own / (name + ".png"), grey_of(2, 1, {0, 1}));
    }
    const OpenedData data = open_data(own.path(), {.answers = AnswerKind::by_form});
    EXPECT_EQ(data.answers, AnswerKind::maps) << layout[0];
    EXPECT_EQ(data.train->size(), 1) << layout[0];
    ASSERT_TRUE(data.val) << layout[0];
    EXPECT_EQ(data.val->size(), 1) << layout[0];
    EXPECT_NE(data.train->name(0), data.val->name(0));
  }
}

TEST_F(Masks, OfATableArePairsByColumn) {
  for (const char* n : {"a", "b", "c"}) {
    grey(str("p/", n, ".png"), {1, 2});
    grey(str("q/", n, "x.png"), {0, 1});
  }
  text("t.csv",
       "image,mask,split\np/a.png,q/ax.png,train\np/b.png,q/bx.png,val\n"
       "p/c.png,q/missing.png,train\n");
  for (const AnswerKind asked : {AnswerKind::maps, AnswerKind::by_form}) {
    const OpenedData data = open_data(folder_ / "t.csv", {.answers = asked, .val_split = 0});
    EXPECT_EQ(data.answers, AnswerKind::maps);
    EXPECT_EQ(data.train->size(), 1);
    EXPECT_EQ(data.val->size(), 1);
    EXPECT_TRUE(says(data.notes, "left out: 1 pair, for a file is not there: q/missing.png"));
  }
  text("u.csv", "p/a.png,q/ax.png\np/b.png,q/bx.png\n");
  EXPECT_EQ(
      open_data(folder_ / "u.csv", {.answers = AnswerKind::maps, .val_split = 0}).train->size(), 2);
}

TEST_F(Masks, AreSplitByTheirRarestClass) {
  for (int i = 0; i < 10; ++i) {
    grey(str("images/", i, ".png"), {1, static_cast<uint8_t>(i)});
    grey(str("masks/", i, ".png"), {0, static_cast<uint8_t>(i < 2 ? 1 : 0)});
  }
  const OpenedData data =
      open_data(folder_.path(), {.answers = AnswerKind::maps, .val_split = 0.3});
  EXPECT_EQ(data.val->size(), 3);
  int64_t rare = 0;
  for (int64_t i = 0; i < data.val->size(); ++i) rare += std::ssize(data.val->labels(i)) == 2;
  EXPECT_EQ(rare, 1);
  EXPECT_TRUE(says(data.notes, "drawn by each one's rarest class"));
}

TEST_F(Masks, ThatAreOfNoUseAreNamedAndCounted) {
  for (int i = 0; i < 21; ++i) {
    grey(str("images/", i, ".png"), {1, 2});
    grey(str("masks/", i, ".png"), {0, 1});
  }
  grey("images/lonely.png", {1, 2});
  grey("masks/orphan.png", {1, 2});
  grey("masks/3.png", {0, 1, 0, 1});
  text("masks/5.png", "no image");
  const OpenedData data = opened();
  EXPECT_EQ(data.train->size(), 19);
  EXPECT_TRUE(says(data.notes, "left out: 1 image without a mask: "));
  EXPECT_TRUE(says(data.notes, "left out: 1 mask without an image: "));
  EXPECT_TRUE(says(data.notes, "3.png: the mask is of 2x2 pixels, its image 3.png of 2x1"));
  EXPECT_TRUE(says(data.notes, "masks/5.png: not an image"));
  grey("masks/6.png", {0, 1, 0, 1});
  EXPECT_NE(refusal().find("3 of 21 masks cannot be used, more than 10 %; the first: "),
            std::string::npos);
}

TEST_F(Masks, ThatCannotBeReadAreRefusedInASentence) {
  EXPECT_NE(refusal().find("a folder of images and one of masks beside each other"),
            std::string::npos);
  grey("images/a.png", {1, 2});
  grey("masks/b.png", {0, 1});
  EXPECT_NE(refusal().find("none of its images has a mask of the same name"), std::string::npos);
  grey("masks/a.png", {7, 7});
  EXPECT_NE(refusal({.ignored = "7"}).find("every pixel of the masks is left out"),
            std::string::npos);
  text("masks/a.png", "\xff\xd8\xff jpeg");
  EXPECT_NE(refusal().find("a mask in a JPEG, whose values are not exact"), std::string::npos);
}

TEST_F(Masks, AreSummarizedByImagesAndPixels) {
  for (const char* n : {"a", "b"}) grey(str("images/", n, ".png"), {1, 2, 3, 4});
  grey("masks/a.png", {0, 0, 0, 1});
  grey("masks/b.png", {0, 0, 0, 0});
  const OpenedData data = opened();
  const DataSummary summary = summarize("d", data, {});
  const Names lines = summary.lines();
  EXPECT_EQ(lines[0], "data: d (masks), 2 classes of pixels, 2 training images");
  EXPECT_TRUE(says(lines, "0               2   87.5 %")) << lines[2];
  EXPECT_TRUE(says(lines, "1               1   12.5 %")) << lines[3];
  EXPECT_NE(summary.to_json().find("\"answers\": \"maps\""), std::string::npos);
}

TEST_F(Masks, KeepTheirClassesUnderOtherNumbers) {
  grey("images/a.png", {1, 2, 3, 4});
  grey("masks/a.png", {0, 1, 2, 2});
  const OpenedData data = opened();
  const auto other = maps_relabelled(data.train, {1, -1, 0});
  EXPECT_EQ(map_of(*other, 0), (Pixels{1, kIgnoredPixel, 0, 0}));
  EXPECT_EQ(other->map_facts(0).pixels, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(other->labels(0), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(map_of(*subset(other, {0, 0}), 1), (Pixels{1, kIgnoredPixel, 0, 0}));
  EXPECT_THROW(data.train->map(7), Error);
}

}  // namespace
}  // namespace graft::io
