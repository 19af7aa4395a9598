// Folders as people have them: parts under many names, files of operating systems, classes that
// differ between the parts; and what is said of them.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/changed_files.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/summary.h"
#include "graft/io/datasets/twins.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

namespace fs = std::filesystem;

std::string grey_image(int width, int height, const std::function<int(int, int)>& level) {
  std::string file = str("P5 ", width, " ", height, " 255 ");
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) file += static_cast<char>(level(x, y));
  return file;
}

class PeoplesFolders : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  // Images that differ from each other and, by `first`, from those of other folders.
  void images(const std::string& folder, int count, int first = 0) {
    for (int i = 0; i < count; ++i)
      put(str(folder, "/", i, ".pgm"), grey_image(8, 8, [&](int x, int y) {
            return (x * 31 + y * 17 + (first + i) * 29) % 256;
          }));
  }
  std::string path(const std::string& name) const { return folder_ / name; }
  std::string refusal(const std::string& name, const DataOptions& options = {}) const {
    try {
      open_data(path(name), options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
      return error.what();
    }
    return "";
  }
  static bool any_has(const std::vector<std::string>& sentences, const std::string& part) {
    for (const std::string& sentence : sentences)
      if (sentence.find(part) != std::string::npos) return true;
    return false;
  }
  TemporaryFolder folder_;
};

TEST_F(PeoplesFolders, PartsUnderTheNamesThatPublishedSetsHave) {
  const std::vector<std::pair<std::string, std::string>> names = {{"Train", "Val"},
                                                                  {"TRAIN", "TEST"},
                                                                  {"Training", "Testing"},
                                                                  {"training_set", "test_set"},
                                                                  {"training", "validation"},
                                                                  {"train", "dev"},
                                                                  {"seg_train", "seg_test"},
                                                                  {"train", "valid"},
                                                                  {"train-set", "Validation Set"}};
  int n = 0;
  for (const auto& [train, val] : names) {
    const std::string root = str("set", n++);
    for (const char* cls : {"daisy", "rose"}) {
      images(root + "/" + train + "/" + cls, 3);
      images(root + "/" + val + "/" + cls, 2, 10);
    }
    const OpenedData opened = open_data(path(root));
    EXPECT_EQ(opened.classes, (std::vector<std::string>{"daisy", "rose"})) << train;
    EXPECT_EQ(opened.train->size(), 6) << train;
    EXPECT_EQ(opened.val->size(), 4) << val;
  }
}

TEST_F(PeoplesFolders, ATestPartBesideAValidationPartChoosesNothing) {
  for (const char* part : {"train", "val", "test"})
    for (const char* cls : {"a", "b"}) images(str("d/", part, "/", cls), 3);
  const OpenedData opened = open_data(path("d"));
  EXPECT_EQ(opened.val->size(), 6);
  ASSERT_NE(opened.test, nullptr);
  EXPECT_EQ(opened.test->size(), 6);
  EXPECT_NE(opened.test->name(0).find("/test/"), std::string::npos);
  EXPECT_NE(opened.val->name(0).find("/val/"), std::string::npos);
}

TEST_F(PeoplesFolders, UnlabelledTestsWrappedSetsAndFoldersBeside) {
  images("kaggle/train/a", 5);
  images("kaggle/train/b", 5);
  images("kaggle/test", 4);
  const OpenedData kaggle = open_data(path("kaggle"));
  EXPECT_EQ(kaggle.classes, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(any_has(kaggle.notes, "test: has no class folders, so it is not read"));
  images("wrapped/flowers/train/a", 2);
  images("wrapped/flowers/train/b", 2);
  images("wrapped/flowers/val/a", 2);
  images("wrapped/flowers/val/b", 2);
  const OpenedData wrapped = open_data(path("wrapped"));
  EXPECT_EQ(wrapped.train->size(), 4);
  EXPECT_TRUE(any_has(wrapped.notes, "flowers/ is read"));
  images("beside/train/a", 4);
  images("beside/train/b", 4);
  fs::create_directories(path("beside/models"));
  const OpenedData beside = open_data(path("beside"));
  EXPECT_EQ(beside.classes, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(any_has(beside.notes, "models/ stands beside the parts"));
}

TEST_F(PeoplesFolders, FoldersThatLookLikePartsAreDoubtedOrRefused) {
  for (const char* part : {"train", "vals"})
    for (const char* cls : {"daisy", "rose"}) images(str("plural/", part, "/", cls), 3);
  EXPECT_NE(
      refusal("plural").find("all hold the same folders (daisy, rose): these look like parts"),
      std::string::npos)
      << refusal("plural");
  for (const char* part : {"one", "two"})
    for (const char* cls : {"daisy", "rose"}) images(str("odd/", part, "/", cls), 3);
  EXPECT_TRUE(any_has(open_data(path("odd")).doubts, "all hold the same folders (daisy, rose)"));
  images("vehicles/train", 3);
  images("vehicles/bus", 3);
  EXPECT_TRUE(any_has(open_data(path("vehicles")).doubts, "train/ is named like a part"));
  images("twice/train/a", 1);
  images("twice/Training/a", 1);
  EXPECT_NE(refusal("twice").find("both look like its training part"), std::string::npos);
}

TEST_F(PeoplesFolders, FilesOfSystemsAreNoData) {
  for (const char* root : {"clean", "littered"}) {
    images(str(root, "/a"), 5);
    images(str(root, "/b"), 5, 10);
  }
  put("littered/a/._0.pgm", "\x00\x05\x16\x07");
  put("littered/a/.DS_Store", "x");
  put("littered/a/Thumbs.db", "x");
  put("littered/b/desktop.ini", "x");
  put("littered/b/film.mp4", "x");
  put("littered/b/notes.txt", "x");
  put("littered/b/empty.jpg", "");
  put("littered/b/nothing", "no image");
  put("littered/b/photo.svg", "x");
  put("littered/__MACOSX/a/._0.pgm", "x");
  put("littered/a/@eaDir/0.pgm/SYNO.jpg", "x");
  put("littered/.ipynb_checkpoints/0.pgm", "x");
  const OpenedData clean = open_data(path("clean")), littered = open_data(path("littered"));
  EXPECT_EQ(littered.classes, clean.classes);
  EXPECT_EQ(littered.manifest_sha256, clean.manifest_sha256);
  const std::map<std::string, int64_t> expected = {{"hidden", 2},
                                                   {"Thumbs.db", 1},
                                                   {"desktop.ini", 1},
                                                   {".mp4", 1},
                                                   {".txt", 1},
                                                   {"empty", 1},
                                                   {".svg", 1},
                                                   {"without extension", 1},
                                                   {"__MACOSX/", 1},
                                                   {"@eaDir/", 1},
                                                   {".ipynb_checkpoints/", 1}};
  EXPECT_EQ(littered.passed_over.counts, expected);
  EXPECT_EQ(littered.passed_over.to_text().rfind("2 hidden, ", 0), 0u);
  EXPECT_TRUE(clean.passed_over.empty());
}

// Files beside the classes and beside the parts are counted as well as those among the photos.
TEST_F(PeoplesFolders, FilesBesideTheFoldersAreCounted) {
  for (const char* folder : {"in/set/train/a", "in/set/train/b", "in/set/val/a", "in/set/val/b"})
    images(folder, 3);
  for (const char* place : {"in", "in/set", "in/set/train"}) {
    put(str(place, "/.DS_Store"), "x");
    put(str(place, "/README.txt"), "x");
  }
  put("in/set/val/Thumbs.db", "x");
  put("in/set/val/empty.jpg", "");
  images("in/set/val", 1);
  const std::map<std::string, int64_t> expected = {
      {"hidden", 3}, {".txt", 3}, {"Thumbs.db", 1}, {"empty", 1}, {"in no class folder", 1}};
  EXPECT_EQ(open_data(path("in")).passed_over.counts, expected);
}

// A class that is a link to a disk that is not there must not go without a word.
TEST_F(PeoplesFolders, DanglingLinksAndOverlongPathsAreSaid) {
  for (const char* cls : {"a", "b"}) images(str("d/", cls), 3);
  fs::create_symlink("/nowhere/roses", path("d/rose"));
  fs::create_symlink("gone.pgm", path("d/a/link.pgm"));
  fs::create_symlink("circle.pgm", path("d/a/circle.pgm"));
  fs::create_symlink("0.pgm", path("d/a/good.pgm"));
  const OpenedData opened = open_data(path("d"), {.val_split = 0});
  EXPECT_EQ(opened.train->size(), 7);
  EXPECT_EQ(opened.passed_over.counts, (std::map<std::string, int64_t>{{"dangling link", 2}}));
  EXPECT_TRUE(any_has(opened.doubts, "d/rose: dangling link, so that nothing of it is read"));
  images("p/train/a", 1);
  images("p/train/b", 1);
  images("p/val/a", 1);
  fs::create_symlink("/nowhere/test", path("p/test"));
  EXPECT_TRUE(any_has(open_data(path("p")).doubts, "p/test: dangling link"));

  const fs::path before = fs::current_path();
  fs::create_directories(path("long/b"));
  images("long/b", 1);
  fs::create_directories(path("long/a"));
  images("long/a", 1);
  fs::current_path(path("long/a"));
  const std::string name(250, 'x');
  for (int depth = 0; depth < 15; ++depth) {
    fs::create_directory(name);
    fs::current_path(name);
  }
  // One more, after which a path has room for a hundred characters.
  const std::string last(static_cast<size_t>(4095 - 101) - path("long/a").size() - 15 * 251, 'w');
  fs::create_directory(last);
  fs::current_path(last);
  std::ofstream(std::string(200, 'y') + ".pgm") << "x";
  fs::create_directory(std::string(250, 'z'));
  fs::current_path(before);
  const OpenedData deep = open_data(path("long"), {.val_split = 0});
  EXPECT_EQ(deep.passed_over.counts, (std::map<std::string, int64_t>{{"path too long", 2}}));
}

TEST_F(PeoplesFolders, FilesThatChangeAfterTheScanAreSaid) {
  for (const char* cls : {"a", "b"}) images(str("d/", cls), 4);
  const OpenedData opened = open_data(path("d"));
  EXPECT_EQ(changed_files(opened), "");
  const std::string same = read_text_file(path("d/a/1.pgm"), 1000);
  put("d/a/1.pgm", same + " ");  // another size
  EXPECT_NE(changed_files(opened).find("1 image file was written or removed while this went on"),
            std::string::npos);
  EXPECT_NE(changed_files(opened).find("a/1.pgm"), std::string::npos);
  fs::last_write_time(path("d/b/2.pgm"), fs::file_time_type::clock::now() + std::chrono::hours(1));
  fs::remove(path("d/b/3.pgm"));
  EXPECT_EQ(changed_files(opened).rfind("3 image files were", 0), 0u) << changed_files(opened);
}

TEST_F(PeoplesFolders, AFileWithoutExtensionIsReadByItsBytes) {
  images("d/a", 2);
  images("d/b", 2);
  put("d/a/plain", grey_image(2, 2, [](int, int) { return 7; }));
  const OpenedData opened = open_data(path("d"), {.val_split = 0});
  EXPECT_EQ(opened.train->size(), 5);
  EXPECT_TRUE(opened.passed_over.empty());
}

TEST_F(PeoplesFolders, ClassesAreMatchedByName) {
  images("missing/train/daisy", 3);
  images("missing/train/rose", 3);
  images("missing/train/tulip", 3);
  images("missing/val/daisy", 2);
  images("missing/val/tulip", 2);
  fs::create_directories(path("missing/val/rose"));
  const OpenedData missing = open_data(path("missing"));
  EXPECT_EQ(missing.classes.size(), 3u);
  EXPECT_EQ(missing.val->label(3), 2);  // tulip, not shifted
  EXPECT_TRUE(any_has(missing.notes, "val/ has no images of rose"));
  EXPECT_TRUE(any_has(missing.notes, "without images, so no class: rose"));
  images("missing/val/sunflower", 1);
  EXPECT_NE(refusal("missing").find("without training images: sunflower"), std::string::npos);
  const OpenedData judged = open_data(path("missing"), {.need_train = false});
  EXPECT_EQ(judged.classes, (std::vector<std::string>{"daisy", "sunflower", "tulip"}));
  images("one/tulip", 2);
  EXPECT_EQ(open_data(path("one"), {.need_train = false}).val->size(), 2);
}

TEST_F(PeoplesFolders, NamesThatPrintAlikeAreOneName) {
  EXPECT_EQ(composed("rose\u0301"), "ros\u00e9");
  EXPECT_EQ(composed("pa\u0302querette"), "p\u00e2querette");
  EXPECT_EQ(composed("e\u0323\u0302"), "\u1ec7");       // Vietnamese
  EXPECT_EQ(composed("\u1112\u1161\u11ab"), "\ud55c");  // Hangul
  EXPECT_EQ(composed("\u304b\u3099"), "\u304c");        // kana
  EXPECT_EQ(composed("\xff\xfe"), "\xff\xfe");          // no UTF-8: as it is
  EXPECT_EQ(composed("plain"), "plain");
  images("d/train/ros\u00e9", 3);
  images("d/train/tulipe", 3);
  images("d/val/rose\u0301", 2);
  images("d/val/tulipe", 2);
  const OpenedData opened = open_data(path("d"));
  EXPECT_EQ(opened.val->size(), 4);
  EXPECT_TRUE(opened.notes.empty());
}

TEST_F(PeoplesFolders, TheSummarySaysWhatIsDoubtful) {
  images("d/train/a", 25);
  images("d/train/b", 1, 40);
  images("d/val/a", 3, 50);
  put("d/val/a/again.pgm", read_text_file(path("d/train/a/3.pgm"), 1000));
  put("d/val/a/dot.pgm", grey_image(2, 1, [](int x, int) { return x; }));
  const OpenedData opened = open_data(path("d"));
  const PartFacts facts{take_census(*opened.train), take_census(*opened.val), {}};
  const DataSummary summary = summarize("d", opened, facts);
  EXPECT_TRUE(any_has(summary.doubts, "one training image only: b"));
  EXPECT_TRUE(any_has(summary.doubts, "uneven: 25 training images of a, 1 of b"));
  EXPECT_TRUE(any_has(summary.doubts, "1 image is byte for byte in two parts"));
  EXPECT_TRUE(any_has(summary.doubts, "1 image is less than 8 pixels wide or high"));
  const auto lines = summary.lines();
  EXPECT_EQ(lines[0], "data: d (folder), 2 classes, 26 training and 5 validation images");
  EXPECT_EQ(lines[2], "  a              25           5");
  images("single/c", 2);
  const OpenedData single = open_data(path("single"), {.val_split = 0, .least_classes = 1});
  EXPECT_EQ(summarize("s", single, {}).lines()[0], "data: s (folder), 1 class, 2 training images");
  EXPECT_NE(summary.to_json().find("\"byte"), 0u);
}

TEST_F(PeoplesFolders, ManyClassesAreShownByTheFirstAndTheSmallest) {
  for (int c = 0; c < 30; ++c) images(str("d/", c + 100), c == 25 ? 1 : 2);
  const OpenedData opened = open_data(path("d"), {.val_split = 0});
  const auto lines = summarize("d", opened, {}).lines();
  ASSERT_GE(lines.size(), 23u);
  EXPECT_EQ(lines[2].rfind("  100", 0), 0u);
  EXPECT_EQ(lines[12], "  ... of 30 classes; the smallest others:");
  EXPECT_EQ(lines[13].rfind("  125", 0), 0u) << lines[13];
}

TEST_F(PeoplesFolders, ShapesThatACropCutsAreDoubted) {
  const auto facts = [](int64_t width, int64_t height) {
    return std::vector<ImageFacts>(5, ImageFacts{.width = width, .height = height, .channels = 3});
  };
  Preprocess p = imagenet_preprocess(224);
  EXPECT_TRUE(any_has(shape_doubts(facts(384, 128), p), "leaves out 67 % of their area"));
  EXPECT_TRUE(shape_doubts(facts(640, 480), p).empty());
  p.set_size(64, 192);
  EXPECT_TRUE(shape_doubts(facts(384, 128), p).empty());
  EXPECT_TRUE(any_has(shape_doubts(facts(128, 128), p), "proportions, 192x64"));
  p.set_size(224);
  p.set_fit("squash");
  EXPECT_FALSE(any_has(shape_doubts(facts(384, 128), p), "leaves out"));
  EXPECT_TRUE(any_has(shape_doubts(facts(28, 28), p), "images are small (28 pixels"));
}

// Twins that were planted are found, whatever was done to them, and nothing else.
TEST_F(PeoplesFolders, TwinsAreFound) {
  const auto scene = [](int seed) {
    return [seed](int x, int y) {
      return 128 + static_cast<int>(60 * std::sin(x * (seed % 7 + 2) / 60.0 + seed * 1.7) +
                                    50 * std::cos(y * (seed % 5 + 2) / 50.0 + 2 * seed));
    };
  };
  const auto half = [&](int seed) {
    return grey_image(48, 48, [&](int x, int y) { return scene(seed)(2 * x + 1, 2 * y + 1); });
  };
  for (int i = 0; i < 12; ++i) put(str("d/a/", i, ".pgm"), grey_image(96, 96, scene(i)));
  for (int i = 12; i < 24; ++i) put(str("d/b/", i, ".pgm"), grey_image(96, 96, scene(i)));
  put("d/b/same.pgm", grey_image(96, 96, scene(3)));  // of class a
  put("d/b/smaller.pgm", half(14));
  put("d/b/brighter.pgm", grey_image(96, 96, [&](int x, int y) { return scene(15)(x, y) + 10; }));
  put("d/a/even1.pgm", grey_image(96, 96, [](int, int) { return 90; }));
  put("d/a/even2.pgm", grey_image(96, 96, [](int, int) { return 120; }));
  const OpenedData opened = open_data(path("d"), {.val_split = 0});
  const auto facts = take_census(*opened.train, {.looks = true});
  const auto names = [&](const TwinGroups& groups) {
    std::vector<std::string> result;
    for (const auto& group : groups)
      for (const int64_t i : group) result.push_back(file_name(opened.train->name(i)));
    return result;
  };
  EXPECT_EQ(names(equal_twins(facts)), (std::vector<std::string>{"3.pgm", "same.pgm"}));
  EXPECT_EQ(names(near_twins(facts)),
            (std::vector<std::string>{"14.pgm", "smaller.pgm", "15.pgm", "brighter.pgm"}));
  EXPECT_TRUE(
      any_has(summarize("d", opened, {facts, {}, {}}).doubts, "1 image stands under two labels"));
}

}  // namespace
}  // namespace graft::io
