// Tables as programs and people write them beside a folder of photos.
#include "graft/io/datasets/table.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "graft/core/base/error.h"
#include "graft/io/datasets/census.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

namespace fs = std::filesystem;

class Tables : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "train");
    for (int i = 0; i < 6; ++i)
      for (const char* cls : {"d", "r"})
        put(str("train/", cls, i, ".pgm"), std::string("P5 1 1 255 ") + *cls);
  }
  void put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  // A line for each photo, by the row's own rule.
  template <class Row>
  std::string rows(Row row) const {
    std::string text;
    for (const char* cls : {"d", "r"})
      for (int i = 0; i < 6; ++i)
        text += row(str(cls, i, ".pgm"), *cls == 'd' ? "daisy" : "rose", i);
    return text;
  }
  OpenedData opened(const std::string& text, DataOptions options = {.val_split = 0},
                    const std::string& name = "t.csv") {
    put(name, text);
    return open_data(folder_ / name, options);
  }
  // Twelve photos of two classes, the first six daisies.
  void expect_right(const std::string& text, DataOptions options = {.val_split = 0},
                    const std::string& name = "t.csv") {
    try {
      const OpenedData data = opened(text, options, name);
      ASSERT_EQ(data.train->size(), 12) << text.substr(0, 60);
      EXPECT_EQ(data.classes, (std::vector<std::string>{"daisy", "rose"})) << text.substr(0, 60);
      for (int64_t i = 0; i < 12; ++i) {
        EXPECT_EQ(data.train->label(i), i / 6);
        EXPECT_EQ(data.train->image(i).pixels.item(), i < 6 ? 'd' : 'r');
      }
    } catch (const Error& error) {
      ADD_FAILURE() << text.substr(0, 60) << ": " << error.what();
    }
  }
  std::string refusal(const std::string& text, const DataOptions& options = {.val_split = 0}) {
    try {
      opened(text, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
      return error.what();
    }
    return "";
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  TemporaryFolder folder_;
};

TEST_F(Tables, EveryShapeOfTheSameTable) {
  const auto plain = rows([](auto f, auto c, int) { return str("train/", f, ",", c, "\n"); });
  const auto with = [&](const std::string& head, const std::string& separator) {
    return head + rows([&](auto f, auto c, int) { return str("train/", f, separator, c, "\n"); });
  };
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
    return text;
  };
  expect_right(plain);
  for (const char* head : {"path,label\n", "Path,Label\n", "filenames,cats\n", "image,target\n"})
    expect_right(head + plain);
  expect_right(with("path;label\n", ";"));
  expect_right(with("path\tlabel\n", "\t"), {.val_split = 0}, "t.tsv");
  expect_right(with("path|label\n", "|"));
  expect_right(with("path, label\n", ", "));
  expect_right(with("", " "), {.val_split = 0}, "labels.txt");
  expect_right(replaced("path,label\n" + plain, "\n", "\r"));
  expect_right("\xef\xbb\xbf" + replaced("path,label\n" + plain, "\n", "\r\n"));
  expect_right(replaced("path,label\n" + plain, "train/", "train\\"));
  expect_right(replaced("path,label\n" + plain, "rose\n", "rose \n"));
  expect_right("path,label\n\n" + plain + "\n\n");
  expect_right("label,path\n" +
               rows([](auto f, auto c, int) { return str(c, ",train/", f, "\n"); }));
  expect_right(",path,label\n" +
               rows([](auto f, auto c, int i) { return str(i, ",train/", f, ",", c, "\n"); }));
  expect_right("path,label,width\n" +
               rows([](auto f, auto c, int i) { return str("train/", f, ",", c, ",", i, "\n"); }));
  std::string wide = "\xff\xfe";
  for (const char c : with("path\tlabel\n", "\t")) wide += c, wide += '\0';
  expect_right(wide);
  expect_right(rows([](auto f, auto c, int) {
                 return str("{\"image\": \"train/", f, "\", \"label\": \"", c, "\"}\n");
               }),
               {.val_split = 0}, "t.jsonl");
}

TEST_F(Tables, IdsWithoutExtensionFromAnotherFolder) {
  for (int i = 0; i < 6; ++i)
    for (const char* cls : {"d", "r"})
      fs::rename(folder_ / str("train/", cls, i, ".pgm"), folder_ / str("train/", cls, i, ".png"));
  const std::string ids =
      "id,breed\n" + rows([](auto f, auto c, int) { return str(f.substr(0, 2), ",", c, "\n"); });
  EXPECT_TRUE(has(refusal(ids), "--root"));
  expect_right(ids, {.columns = {.root = folder_ / "train"}, .val_split = 0});
}

TEST_F(Tables, ColumnsCanBeNamed) {
  const std::string text = "file,color,species\n" + rows([](auto f, auto c, int i) {
                             return str("train/", f, ",", i % 2 ? "red" : "white", ",", c, "\n");
                           });
  expect_right(text);  // species is a word for a label
  const OpenedData colors = opened(text, {.columns = {.label = "color"}, .val_split = 0});
  EXPECT_EQ(colors.classes, (std::vector<std::string>{"red", "white"}));
  expect_right(text, {.columns = {.image = "1", .label = "3"}, .val_split = 0});
  EXPECT_TRUE(has(refusal(text, {.columns = {.label = "genus"}}), "there is no column 'genus'"));
  const std::string unclear = "file,a,b\n" + rows([](auto f, auto c, int i) {
                                return str("train/", f, ",", c, ",", i, "\n");
                              });
  EXPECT_TRUE(has(refusal(unclear), "which column is the label? It has columns file, a, b"));
}

// Written on another machine: what stands before the table's own folders is found once and said.
TEST_F(Tables, PathsOfAnotherMachine) {
  for (const char* before : {"C:\\Users\\me\\photos\\", "/data/photos/"}) {
    const std::string text = "path,label\n" + rows([&](auto f, auto c, int) {
                               return str(before, "train/", f, ",", c, "\n");
                             });
    expect_right(text);
    EXPECT_TRUE(has(opened(text).notes.at(0), "paths of another folder or machine")) << before;
  }
  // One whose end fits no better than the others': as it says, not there.
  const std::string away =
      opened("path,label\ntrain/d0.pgm,daisy\n/data/train/r0.pgm,rose\n").notes.at(0);
  EXPECT_TRUE(has(away, "1 file is not there; the first: /data/train/r0.pgm")) << away;
}

// The sentence is of the first photo, not of the header, and says which --root would do.
TEST_F(Tables, NamesWithoutTheirFolder) {
  const std::string said = refusal("ImageId,LabelName\n" +
                                   rows([](auto f, auto c, int) { return str(f, ",", c, "\n"); }));
  EXPECT_TRUE(has(said, "line 2: there is no file")) << said;
  EXPECT_TRUE(has(said, "d0.pgm")) << said;
  EXPECT_TRUE(has(said, str("--root ", folder_ / "train"))) << said;
}

TEST_F(Tables, OneClassIsEnoughWhereNothingIsLearned) {
  const std::string text = "path,label\ntrain/d0.pgm,daisy\ntrain/d1.pgm,daisy\n";
  EXPECT_TRUE(has(refusal(text), "at least two classes"));
  EXPECT_EQ(opened(text, {.val_split = 0, .least_classes = 1}).train->size(), 2);
}

TEST_F(Tables, PartsFromAColumn) {
  for (const bool is_valid : {false, true}) {
    const OpenedData data = opened((is_valid ? "path,label,is_valid\n" : "path,label,split\n") +
                                   rows([&](auto f, auto c, int i) {
                                     return str("train/", f, ",", c, ",",
                                                i < 4 ? (is_valid ? "False" : "train")
                                                      : (is_valid ? "True" : "Validation"),
                                                "\n");
                                   }));
    EXPECT_EQ(data.train->size(), 8);
    ASSERT_NE(data.val, nullptr);
    EXPECT_EQ(data.val->size(), 4);
    EXPECT_TRUE(has(data.notes.at(0), "parts from"));
  }
}

// Fewer names than columns: those without a name are columns as any other.
TEST_F(Tables, ARowOfNamesMayBeShort) {
  expect_right("path\n" + rows([](const std::string& file, const std::string& label, int) {
                 return str("train/", file, ",", label, "\n");
               }));
  EXPECT_NE(refusal("path\n" + rows([](const std::string& file, const std::string& label, int i) {
                      return str("train/", file, ",", label, ",", i, "\n");
                    }))
                .find("which column is the label?"),
            std::string::npos);
}

TEST_F(Tables, DeletedPhotosAreBrokenOnes) {
  const OpenedData data = opened(
      "path,label\n" + rows([](auto f, auto c, int) { return str("train/", f, ",", c, "\n"); }) +
      "train/r99.pgm,rose\n");
  EXPECT_EQ(data.train->size(), 13);
  EXPECT_TRUE(has(data.notes.at(0), "1 file is not there"));
  std::vector<std::string> notes;
  EXPECT_EQ(without_broken_images(data.train, 0.1, notes)->size(), 12);
  EXPECT_TRUE(has(notes.at(0), "r99.pgm"));
}

TEST_F(Tables, SeveralLabelsAreRefusedOrDoubted) {
  EXPECT_TRUE(has(refusal("path,label\ntrain/d0.pgm,daisy\ntrain/d0.pgm,white\n"),
                  "stands under two labels (daisy, white)"));
  const OpenedData twice =
      opened("path,label\ntrain/d0.pgm,daisy\ntrain/d0.pgm,daisy\ntrain/r0.pgm,rose\n");
  EXPECT_EQ(twice.train->size(), 2);
  for (const char* separator : {" ", "|"}) {
    std::string text = "path,label\n";
    const char* labels[] = {"clear+primary", "clear+primary+water", "cloudy+primary", "clear"};
    for (int i = 0; i < 4; ++i) {
      std::string label = labels[i];
      for (size_t at; (at = label.find('+')) != std::string::npos;) label.replace(at, 1, separator);
      text += str("train/d", i, ".pgm,", label, "\n");
    }
    const OpenedData data = opened(text);
    ASSERT_EQ(data.doubts.size(), 1u) << separator;
    EXPECT_TRUE(has(data.doubts[0], "look like several labels in one")) << data.doubts[0];
  }
}

TEST_F(Tables, DamagedJsonLines) {
  for (const char* text : {"[1]\n", "{\"image\": 1", "hello\n"}) {
    put("t.jsonl", text);
    EXPECT_THROW(open_data(folder_ / "t.jsonl"), Error) << text;
  }
}

}  // namespace
}  // namespace graft::io
