// Data sets of every format: what they hold, and one sentence for what is wrong with them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "graft/core/base/file_system.h"
#include "graft/io/datasets/dataset.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

namespace fs = std::filesystem;

std::string data(const std::string& name) {
  return std::string(GRAFT_TEST_DATA "/datasets/") + name;
}

// The complaint of open_data about `path`; "" when it opens.
std::string complaint(const std::string& path, const DataOptions& options = {}) {
  try {
    open_data(path, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    const std::string said = error.what();
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
    EXPECT_NE(said.find(path), std::string::npos) << said;
    return said;
  }
  return "";
}

testing::AssertionResult says(const std::string& path, const std::string& part,
                              const DataOptions& options = {}) {
  const std::string said = complaint(path, options);
  if (said.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "expected '" << part << "', got '" << said << "'";
}

std::vector<std::string> names_of(const Dataset& dataset) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < dataset.size(); ++i) names.push_back(dataset.name(i));
  return names;
}

std::vector<int64_t> labels_of(const Dataset& dataset) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
  return labels;
}

class DataFolders : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;  // no fsync: there are many
  }
  // A grey image of one pixel.
  void image(const std::string& name, char value = 'a') {
    put(name, std::string("P5 1 1 255 ") + value);
  }
  void images(const std::string& folder, int count) {
    for (int i = 0; i < count; ++i) image(str(folder, "/", i, ".pgm"), static_cast<char>('a' + i));
  }
  std::string path(const std::string& name = "d") const { return folder_ / name; }
  TemporaryFolder folder_;
};

// ---- folders

TEST_F(DataFolders, ClassFoldersAreSplitBySeed) {
  images("d/cat", 10);
  images("d/ant/inner", 5);
  put("d/cat/notes.txt", "no image");
  put("d/.hidden/x.pgm", "P5 1 1 255 a");
  put("d/README", "no class");
  const OpenedData opened = open_data(path(), {.seed = 4});
  EXPECT_EQ(opened.format, "folder");
  EXPECT_EQ(opened.classes, (std::vector<std::string>{"ant", "cat"}));
  EXPECT_EQ(labels_of(*opened.val), (std::vector<int64_t>{0, 1, 1}));  // a fifth of each class
  EXPECT_EQ(opened.train->size(), 12);
  ASSERT_EQ(opened.notes.size(), 1u);
  EXPECT_NE(opened.notes[0].find("3 of 15"), std::string::npos) << opened.notes[0];
  std::set<std::string> all;
  for (const auto& part : {opened.train, opened.val})
    for (const std::string& name : names_of(*part)) EXPECT_TRUE(all.insert(name).second) << name;
  EXPECT_EQ(all.size(), 15u);
  EXPECT_TRUE(all.contains(path("d/ant/inner/3.pgm")));

  EXPECT_EQ(names_of(*open_data(path(), {.seed = 4}).val), names_of(*opened.val));
  EXPECT_EQ(open_data(path(), {.seed = 4}).manifest_sha256, opened.manifest_sha256);
  std::set<std::vector<std::string>> splits;
  for (uint64_t seed = 0; seed < 8; ++seed)
    splits.insert(names_of(*open_data(path(), {.seed = seed}).val));
  EXPECT_GE(splits.size(), 5u);
  EXPECT_EQ(open_data(path(), {.val_split = 0.5}).val->size(), 8);  // 5 of 10, and 2.5 rounded
  EXPECT_EQ(open_data(path(), {.val_split = 0}).val, nullptr);
  for (const double share : {1.0, -1.0})
    EXPECT_TRUE(says(path(), "between 0 and 1", {.val_split = share})) << share;
}

TEST_F(DataFolders, TrainAndValidationFolders) {
  for (const char* val : {"val", "valid", "validation", "test"}) {
    images(str(val, "set/train/a"), 3);
    images(str(val, "set/train/b"), 2);
    images(str(val, "set/", val, "/a"), 1);
    images(str(val, "set/", val, "/b"), 1);
    const OpenedData opened = open_data(path(str(val, "set")));
    EXPECT_EQ(labels_of(*opened.train), (std::vector<int64_t>{0, 0, 0, 1, 1})) << val;
    EXPECT_EQ(labels_of(*opened.val), (std::vector<int64_t>{0, 1})) << val;
    EXPECT_EQ(opened.notes.size(), val == std::string("test") ? 1u : 0u) << val;
  }
  images("valset/val/c", 1);
  EXPECT_TRUE(says(path("valset"),
                   "val/ has classes without training images: c; the training part's are a, b"));
}

TEST_F(DataFolders, AValidationPathOfItsOwn) {
  images("d/a", 2);
  images("d/b", 2);
  images("more/a", 1);
  images("more/b", 3);
  images("other/a", 1);
  images("other/z", 1);
  const OpenedData opened = open_data(path(), {.val_path = path("more")});
  EXPECT_EQ(opened.train->size(), 4);
  EXPECT_EQ(opened.val->size(), 4);
  EXPECT_TRUE(says(path(), "has classes without training images: z", {.val_path = path("other")}));
  const OpenedData evaluation = open_data(path(), {.need_train = false});
  EXPECT_EQ(evaluation.train, nullptr);
  EXPECT_EQ(evaluation.val->size(), 4);
}

TEST_F(DataFolders, ATrainFolderAlone) {
  images("d/train/a", 5);
  images("d/train/b", 5);
  EXPECT_EQ(open_data(path()).classes, (std::vector<std::string>{"a", "b"}));
  images("d/bus", 5);  // now train is a class: of vehicles
  EXPECT_EQ(open_data(path()).classes, (std::vector<std::string>{"bus", "train"}));
}

TEST_F(DataFolders, FoldersThatAreNoDataSet) {
  EXPECT_TRUE(says(path("absent"), "there is no such file or folder"));
  fs::create_directories(path("empty"));
  EXPECT_TRUE(says(path("empty"), "at least two), it has 0"));
  images("one/a", 3);
  EXPECT_TRUE(says(path("one"), "at least two), it has 1"));
  fs::create_directories(path("one/b"));
  EXPECT_TRUE(says(path("one"), "at least two), it has 1 with images; empty: b"));
  put("one/b/film.mp4", "a film");
  EXPECT_TRUE(
      says(path("one"), "one/b: the class folder holds no images that graft reads, but 1 .mp4"));
  put("x.doc", "hello");
  EXPECT_TRUE(says(path("x.doc"), "not a data set"));
  std::string deep = "deep/a";
  for (int i = 0; i < 20; ++i) deep += "/n";
  images(deep, 1);
  images("deep/b", 1);
  EXPECT_TRUE(says(path("deep"), "nested too deeply"));
  images("single/a", 1);
  images("single/b", 1);
  EXPECT_TRUE(says(path("single"), "too small to hold out"));
}

TEST_F(DataFolders, ASubsetKeepsTheProportions) {
  images("d/train/a", 20);
  images("d/train/b", 10);
  images("d/val/a", 1);
  images("d/val/b", 1);
  const OpenedData opened = open_data(path(), {.seed = 1, .train_limit = 12});
  EXPECT_EQ(opened.train->size(), 12);
  const auto labels = labels_of(*opened.train);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 0), 8);
  EXPECT_EQ(names_of(*open_data(path(), {.seed = 1, .train_limit = 12}).train),
            names_of(*opened.train));
  EXPECT_NE(names_of(*open_data(path(), {.seed = 2, .train_limit = 12}).train),
            names_of(*opened.train));
  EXPECT_EQ(open_data(path(), {.train_limit = 1000}).train->size(), 30);
}

TEST_F(DataFolders, TheManifestNoticesChanges) {
  images("d/train/a", 3);
  images("d/train/b", 3);
  images("d/val/a", 1);
  images("d/val/b", 1);
  std::set<std::string> seen{open_data(path()).manifest_sha256};
  const auto is_another = [&] { return seen.insert(open_data(path()).manifest_sha256).second; };
  fs::rename(path("d"), path("moved"));
  EXPECT_FALSE(seen.insert(open_data(path("moved")).manifest_sha256).second);
  fs::rename(path("moved"), path("d"));
  put("d/train/a/0.pgm", "P5 1 1 255 ab");  // another size
  EXPECT_TRUE(is_another());
  fs::rename(path("d/train/a/0.pgm"), path("d/train/b/9.pgm"));  // another label
  EXPECT_TRUE(is_another());
  image("d/val/a/9.pgm");
  EXPECT_TRUE(is_another());
  images("d/train/c", 1);
  images("d/val/c", 1);
  EXPECT_TRUE(is_another());
}

TEST_F(DataFolders, BrokenImagesAreLeftOutUpToAShare) {
  images("d/train/a", 5);
  images("d/train/b", 5);
  images("d/val/a", 1);
  images("d/val/b", 1);
  const std::string jpeg = read_text_file(GRAFT_TEST_DATA "/images/baseline.jpg", 1 << 20);
  put("d/train/a/x.jpg", jpeg.substr(0, 700));
  put("d/train/b/y.jpg", jpeg.substr(0, 30));
  const OpenedData opened = open_data(path());
  EXPECT_EQ(opened.train->size(), 12);
  std::vector<std::string> notes;
  const auto whole = without_broken_images(opened.train, 0.2, notes);
  EXPECT_EQ(labels_of(*whole), (std::vector<int64_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}));
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0].rfind("left out: " + path("d/train/a/x.jpg") + ": broken JPEG", 0), 0u)
      << notes[0];
  EXPECT_EQ(notes[1].rfind("left out: " + path("d/train/b/y.jpg") + ": broken JPEG", 0), 0u)
      << notes[1];
  EXPECT_NE(whole->fingerprint(), opened.train->fingerprint());
  EXPECT_EQ(without_broken_images(opened.val, 0, notes), opened.val);
  EXPECT_EQ(notes.size(), 2u);
  try {
    without_broken_images(opened.train, 0.1, notes);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_EQ(std::string(error.what())
                  .rfind("2 of 12 images are broken, more than 10 %; the first: " +
                             path("d/train/a/x.jpg"),
                         0),
              0u)
        << error.what();
  }
}

TEST_F(DataFolders, SubsetsCheckTheirIndices) {
  images("d/a", 2);
  images("d/b", 2);
  const auto all = open_data(path(), {.need_train = false}).val;
  const auto some = subset(all, {3, 0});
  EXPECT_EQ(labels_of(*some), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(some->image(1).pixels.item(), 'a');
  EXPECT_THROW(subset(all, {4}), Error);
  EXPECT_THROW(subset(all, {-1}), Error);
}

TEST_F(DataFolders, OtherIndicesAreErrors) {
  images("d/a", 2);
  images("d/b", 2);
  const auto files = open_data(path(), {.need_train = false}).val;
  const auto pixels = open_data(data("idx"), {.need_train = false}).val;
  for (const auto& dataset : {files, pixels, subset(files, {1, 2}), subset(pixels, {0})})
    for (const int64_t outside : {int64_t{-1}, dataset->size(), int64_t{1} << 40}) {
      EXPECT_THROW(dataset->label(outside), Error);
      EXPECT_THROW(dataset->image(outside), Error);
      std::vector<std::byte> bytes;
      if (dataset == files) {
        EXPECT_THROW(dataset->encoded(outside, bytes), Error);
        EXPECT_THROW(dataset->name(outside), Error);
      }
    }
}

// As an old archive leaves them: ISO-8859-1 bytes, which would all become one replacement mark.
TEST_F(DataFolders, ClassNamesThatAreNoUtf8StayApart) {
  for (const char* name : {"caf\xe9", "caf\xe8", "plain"})
    put(str("d/", name, "/a.pgm"), "P5 1 1 255 x");
  const OpenedData opened = open_data(path(), {.val_split = 0});
  EXPECT_EQ(opened.classes, (std::vector<std::string>{"caf\\xe8", "caf\\xe9", "plain"}));
  ASSERT_FALSE(opened.notes.empty());
  EXPECT_NE(opened.notes[0].find("2 classes are no UTF-8"), std::string::npos) << opened.notes[0];
  put("d/caf\\xe9/a.pgm", "P5 1 1 255 x");  // the escape itself, as a name
  EXPECT_TRUE(says(path(), "that of another class"));
}

// ---- IDX

TEST_F(DataFolders, IdxPlainAndGzipped) {
  const OpenedData plain = open_data(data("idx")), packed = open_data(data("idx_gz"));
  EXPECT_EQ(plain.format, "idx");
  EXPECT_EQ(plain.classes, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(plain.train->size(), 20);
  EXPECT_EQ(plain.val->size(), 6);
  EXPECT_EQ(plain.manifest_sha256, packed.manifest_sha256);
  EXPECT_EQ(labels_of(*plain.val), (std::vector<int64_t>{0, 1, 2, 0, 1, 2}));
  const Image image = packed.train->image(3);
  EXPECT_EQ(image.pixels.shape(), Shape({4, 5, 1}));
  EXPECT_EQ(image.width, 5);
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(image.pixels.data<uint8_t>()[i], (60 + i) * 7 % 256);
  EXPECT_EQ(plain.train->name(3), data("idx/train-images-idx3-ubyte[3]"));
}

class IdxDamage : public DataFolders {
 protected:
  void SetUp() override { fs::copy(data("idx"), path()); }
  std::string read(const std::string& name) { return read_text_file(path("d/" + name), 1 << 20); }
  const std::string images_ = "train-images-idx3-ubyte", labels_ = "train-labels-idx1-ubyte";
};

TEST_F(IdxDamage, IsNamed) {
  const std::string pixels = read(images_), labels = read(labels_);
  for (const size_t length : {size_t{0}, size_t{3}, size_t{15}, size_t{16}, pixels.size() - 1}) {
    put("d/" + images_, pixels.substr(0, length));
    EXPECT_TRUE(says(path(), images_)) << length;
  }
  put("d/" + images_, pixels + "x");
  EXPECT_TRUE(says(path(), "417 bytes, its header promises 400"));
  std::string changed = pixels;
  changed[2] = 0x0d;  // floats
  put("d/" + images_, changed);
  EXPECT_TRUE(says(path(), "not an IDX file of bytes with 3 axes"));
  changed = pixels;
  changed.replace(4, 12, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
  put("d/" + images_, changed);
  EXPECT_NE(complaint(path()), "");
  put("d/" + images_, pixels.substr(0, 4) + std::string(4, '\0') +
                          std::string(8, '\xff'));  // no images, of 2^32 x 2^32
  EXPECT_NE(complaint(path()), "");
  put("d/" + images_, pixels);
  put("d/" + labels_, labels.substr(0, 7) + "\x01" + "a");
  EXPECT_TRUE(says(path(), "20 train images but 1 labels"));
  fs::remove(path("d/" + labels_));
  EXPECT_TRUE(says(path(), "no train-labels-idx1-ubyte"));
}

TEST_F(IdxDamage, GzipsAreChecked) {
  const std::string packed = read_text_file(data("idx_gz/train-images-idx3-ubyte.gz"), 1 << 20);
  fs::remove(path("d/" + images_));
  for (size_t length = 2; length < packed.size(); ++length) {
    put("d/" + images_ + ".gz", packed.substr(0, length));
    EXPECT_TRUE(says(path(), images_ + ".gz: the gzip file is damaged or truncated")) << length;
  }
  int unnoticed = 0;
  for (size_t i = 10; i < packed.size(); ++i) {
    std::string changed = packed;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    put("d/" + images_ + ".gz", changed);
    unnoticed += complaint(path()).empty();
  }
  EXPECT_LE(unnoticed, 1);  // the bits that fill the last byte of the deflate stream mean nothing
}

// ---- CIFAR

std::string record(int labels, int label, char colour) {
  return std::string(static_cast<size_t>(labels - 1), '\x07') + static_cast<char>(label) +
         std::string(1024, colour) + std::string(1024, 'g') + std::string(1024, 'b');
}

TEST_F(DataFolders, Cifar10) {
  put("d/data_batch_1.bin", record(1, 3, 'r') + record(1, 0, 's'));
  put("d/data_batch_2.bin", record(1, 9, 't'));
  put("d/test_batch.bin", record(1, 1, 'u'));
  const OpenedData opened = open_data(path());
  EXPECT_EQ(opened.format, "cifar");
  EXPECT_EQ(opened.classes.size(), 10u);
  EXPECT_EQ(opened.classes[3], "3");
  EXPECT_EQ(labels_of(*opened.train), (std::vector<int64_t>{3, 0, 9}));
  EXPECT_EQ(opened.val->size(), 1);
  const Image image = opened.train->image(2);
  EXPECT_EQ(image.pixels.shape(), Shape({32, 32, 3}));
  for (int64_t i = 0; i < 1024; ++i) {
    ASSERT_EQ(image.pixels.data<uint8_t>()[3 * i], 't');
    ASSERT_EQ(image.pixels.data<uint8_t>()[3 * i + 1], 'g');
    ASSERT_EQ(image.pixels.data<uint8_t>()[3 * i + 2], 'b');
  }
  put("d/batches.meta.txt",
      "airplane\nautomobile\nbird\r\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
  EXPECT_EQ(open_data(path()).classes[2], "bird");
  EXPECT_NE(open_data(path()).manifest_sha256, opened.manifest_sha256);
}

TEST_F(DataFolders, Cifar100) {
  put("d/train.bin", record(2, 99, 'r') + record(2, 5, 's'));
  put("d/test.bin", record(2, 42, 'r'));
  const OpenedData opened = open_data(path());
  EXPECT_EQ(opened.classes.size(), 100u);
  EXPECT_EQ(labels_of(*opened.train), (std::vector<int64_t>{99, 5}));  // the fine labels
  EXPECT_EQ(opened.train->image(0).pixels.data<uint8_t>()[0], 'r');
}

TEST_F(DataFolders, DamagedCifar) {
  put("d/data_batch_1.bin", record(1, 10, 'r'));
  EXPECT_TRUE(says(path(), "label 10 of record 0 is not below 10"));
  put("d/data_batch_1.bin", record(1, 3, 'r') + "x");
  EXPECT_TRUE(
      says(path(), "data_batch_1.bin: 3074 bytes are no whole number of CIFAR records of 3073"));
  put("d/data_batch_1.bin", "");
  EXPECT_TRUE(says(path(), "data_batch_1.bin: 0 bytes"));
  fs::remove(path("d/data_batch_1.bin"));
  put("d/test_batch.bin", record(1, 3, 'r'));
  EXPECT_TRUE(says(path(), "there is no training part"));
  EXPECT_EQ(open_data(path(), {.need_train = false}).val->size(), 1);
}

// ---- CSV

TEST_F(DataFolders, CsvWithHeaderQuotesAndByteOrderMark) {
  image("a, b.pgm", 'x');
  image("sub/c\"d.pgm", 'y');
  image("e.pgm", 'z');
  put("d.csv",
      "\xef\xbb\xbfpath,label\r\n\"a, b.pgm\",dog\r\n\r\n\"sub/c\"\"d.pgm\",\"cat, big\"\r\n" +
          path("e.pgm") + ",dog");
  const OpenedData opened = open_data(path("d.csv"), {.need_train = false});
  EXPECT_EQ(opened.format, "csv");
  EXPECT_EQ(opened.classes, (std::vector<std::string>{"cat, big", "dog"}));
  EXPECT_EQ(labels_of(*opened.val), (std::vector<int64_t>{1, 0, 1}));
  EXPECT_EQ(opened.val->image(1).pixels.item(), 'y');
  EXPECT_EQ(opened.val->image(2).pixels.item(), 'z');
}

TEST_F(DataFolders, DamagedCsv) {
  image("a.pgm");
  const auto with = [&](const std::string& text) {
    put("d.csv", text);
    return path("d.csv");
  };
  EXPECT_TRUE(says(with(""), "names no images"));
  EXPECT_TRUE(says(with("path,label\n"), "names no images"));
  EXPECT_TRUE(says(with("b.pgm,x\nc.pgm,y\n"), "line 1: there is no file " + path("b.pgm")));
  EXPECT_TRUE(says(with("a.pgm,x\na.pgm\n"), "line 2 is not \"path,label\""));
  EXPECT_TRUE(says(with("a.pgm,x\n\n\na.pgm,y,z\n"), "line 4 is not \"path,label\""));
  EXPECT_TRUE(says(with("a.pgm,\n"), "line 1 is not"));
  EXPECT_TRUE(says(with(",x\n"), "line 1 is not"));
  EXPECT_TRUE(says(with("a.pgm,x\na.pgm,x\n"), "at least two classes are needed, it has 1"));
  EXPECT_TRUE(says(with("a.pgm,x\na.pgm,y\n"), "lines 1 and 2: a.pgm stands under two labels"));
  EXPECT_TRUE(says(with("a.pgm,x\n\"a.pgm,y\n"), "line 2 is not closed"));
  EXPECT_TRUE(says(with(std::string("a.pgm,x\n\0,y\n", 12)), "line 2"));
}

// ---- npz

TEST_F(DataFolders, NpzColourAndGrey) {
  const OpenedData colour = open_data(data("colour.npz"), {.val_split = 0.3}),
                   grey = open_data(data("grey.npz"), {.val_split = 0.3});
  EXPECT_EQ(colour.format, "npz");
  EXPECT_EQ(colour.classes, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(colour.train->size(), 6);
  EXPECT_EQ(colour.val->size(), 3);
  EXPECT_EQ(labels_of(*colour.val), labels_of(*grey.val));
  EXPECT_EQ(grey.train->image(0).channels, 1);
  EXPECT_EQ(colour.train->image(0).channels, 3);
  EXPECT_EQ(colour.train->image(0).pixels.data<uint8_t>()[0],
            grey.train->image(0).pixels.data<uint8_t>()[0]);
}

TEST_F(DataFolders, DamagedNpz) {
  EXPECT_TRUE(says(data("bad_no_labels.npz"), "needs arrays named x and y"));
  EXPECT_TRUE(says(data("bad_floating_pixels.npz"), "x is float32"));
  EXPECT_TRUE(says(data("bad_rank_2.npz"), "x is uint8 [9,4]"));
  EXPECT_TRUE(says(data("bad_four_channels.npz"), "images of shape [9,4,5,4]"));
  EXPECT_TRUE(says(data("bad_fewer_labels.npz"), "9 images but 8 labels"));
  EXPECT_TRUE(says(data("bad_floating_labels.npz"), "y is float64"));
  EXPECT_TRUE(says(data("bad_negative_label.npz"), "label -1 is out of range"));
  EXPECT_TRUE(says(data("bad_huge_label.npz"), "is out of range"));
  EXPECT_TRUE(says(data("bad_one_class.npz"), "at least two classes are needed, it has 1"));
  EXPECT_TRUE(says(data("bad_no_samples.npz"), "at least two classes are needed, it has 0"));
  const std::string whole = read_text_file(data("colour.npz"), 1 << 20);
  for (size_t length = 0; length < whole.size(); length += 5) {
    put("d.npz", whole.substr(0, length));
    EXPECT_NE(complaint(path("d.npz")), "") << length;
  }
}

// ---- real photos

TEST(RealData, EveryPhotoOfHymenopteraDecodes) {
  const std::string path = GRAFT_SOURCE_DIR "/../shared/data/datasets/hymenoptera";
  if (!file_system().exists(path)) GTEST_SKIP();
  const OpenedData opened = open_data(path);
  EXPECT_EQ(opened.classes, (std::vector<std::string>{"ants", "bees"}));
  std::vector<std::string> notes;
  without_broken_images(opened.train, 0, notes);
  without_broken_images(opened.val, 0, notes);
  EXPECT_TRUE(notes.empty());
}

}  // namespace
}  // namespace graft::io
