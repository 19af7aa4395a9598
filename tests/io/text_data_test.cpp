// Data sets of texts: tables with a column of texts, a text a line, class folders.
#include <gtest/gtest.h>

#include <filesystem>

#include "graft/core/base/error.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/datasets/text_list.h"
#include "graft/tests/support/command.h"

namespace graft::io {
namespace {

using Strings = std::vector<std::string>;

class TextData : public testing::Test {
 protected:
  OpenedData open(const std::string& name, DataOptions options = {}) {
    options.files = {.one = "text", .many = "texts", .extensions = {".txt"}};
    options.val_split = 0;
    return open_data(folder / name, options);
  }
  static Strings texts(const Dataset& dataset) {
    Strings texts;
    std::vector<std::byte> bytes;
    for (int64_t i = 0; i < dataset.size(); ++i) {
      EXPECT_TRUE(dataset.encoded(i, bytes));
      texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    return texts;
  }
  std::string refusal(const std::string& name, DataOptions options = {}) {
    try {
      open(name, options);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << name << " was read";
    return "";
  }
  TemporaryFolder folder;
};

TEST_F(TextData, TablesWithColumnsFoundOrNamed) {
  write_text(folder / "a.csv",
             "id,label,text\n1,pos,\"good, really\nso \"\"good\"\"\"\n2,neg,bad\n");
  OpenedData data = open("a.csv", {.columns = {.label = "label"}});
  EXPECT_EQ(data.classes, (Strings{"neg", "pos"}));
  EXPECT_EQ(texts(*data.train), (Strings{"good, really\nso \"good\"", "bad"}));
  EXPECT_EQ(data.train->label(0), 1);
  EXPECT_EQ(data.train->name(1), folder / "a.csv:4");
  // Without a header the longest column holds the texts.
  write_text(folder / "b.tsv", "pos\ta fine film\nneg\ta dull film\npos\ta fine film\n");
  data = open("b.tsv");
  EXPECT_EQ(texts(*data.train), (Strings{"a fine film", "a dull film", "a fine film"}))
      << "a text that stands twice is two samples";
  write_text(
      folder / "c.jsonl",
      "{\"sentence\": \"fine\", \"stars\": 4.5}\n{\"sentence\": \"dull\", \"stars\": 1.5}\n");
  data = open("c.jsonl", {.answers = AnswerKind::numbers});
  EXPECT_EQ(texts(*data.train), (Strings{"fine", "dull"}));
  EXPECT_EQ(data.train->numbers(0), std::vector<double>{4.5});
  write_text(folder / "d.csv", "body,kind\none,a\ntwo,b\n");
  data = open("d.csv", {.columns = {.image = "kind", .label = "body"}});
  EXPECT_EQ(texts(*data.train), (Strings{"a", "b"}));
}

TEST_F(TextData, SeveralLabelsAndParts) {
  write_text(folder / "a.csv",
             "text,labels,split\none,x|y,train\ntwo,y,train\nthree,x,val\nfour,x|y,train\n");
  const OpenedData data = open("a.csv", {.answers = AnswerKind::several_labels});
  EXPECT_EQ(data.answers, AnswerKind::several_labels);
  EXPECT_EQ(data.train->labels(0), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(texts(*data.val), Strings{"three"});
}

TEST_F(TextData, ATextALineEachFileAClass) {
  std::filesystem::create_directories(folder / "lines");
  write_text(folder / "lines/README.md", "what this is");
  write_text(folder / "lines/reviews.pos", "\xef\xbb\xbfone\r\n\r\n  two  \n");
  write_text(folder / "lines/reviews.neg", "three");
  OpenedData data = open("lines");
  EXPECT_EQ(data.format, "lines");
  EXPECT_EQ(data.classes, (Strings{"neg", "pos"}));
  EXPECT_EQ(texts(*data.train), (Strings{"three", "one", "two"}));
  EXPECT_EQ(data.train->name(2), folder / "lines/reviews.pos:3");
  std::filesystem::create_directories(folder / "stems");
  write_text(folder / "stems/ham.txt", "one\ntwo\n");
  write_text(folder / "stems/spam.txt", "three\n");
  data = open("stems");
  EXPECT_EQ(data.classes, (Strings{"ham", "spam"}));
  EXPECT_EQ(data.train->size(), 3);
}

TEST_F(TextData, ClassFolders) {
  for (const char* name : {"ham/1.txt", "ham/2.txt", "spam/1.txt"}) {
    std::filesystem::create_directories(std::filesystem::path(folder / name).parent_path());
    write_text(folder / name, name);
  }
  const OpenedData data = open("");
  EXPECT_EQ(data.format, "folder");
  EXPECT_EQ(data.classes, (Strings{"ham", "spam"}));
  EXPECT_EQ(texts(*data.train), (Strings{"ham/1.txt", "ham/2.txt", "spam/1.txt"}));
}

TEST_F(TextData, ChangedTextsAreOtherData) {
  write_text(folder / "a.csv", "text,label\none,x\ntwo,y\n");
  const std::string before = open("a.csv").manifest_sha256;
  write_text(folder / "a.csv", "text,label\none,x\ntwe,y\n");
  EXPECT_NE(open("a.csv").manifest_sha256, before);
}

TEST_F(TextData, WhatCannotBeReadIsSaid) {
  write_text(folder / "a.csv", "text,label\n");
  EXPECT_NE(refusal("a.csv").find("the table holds no texts"), std::string::npos);
  write_text(folder / "b.csv", "text,one,two\nx,y,z\n");
  EXPECT_NE(refusal("b.csv").find("is not \"text,label\": which column is the label?"),
            std::string::npos)
      << refusal("b.csv");
  write_text(folder / "c.csv", "text\nx\n");
  EXPECT_NE(refusal("c.csv").find("is not \"text,label\""), std::string::npos);
  write_text(folder / "d.csv", "text,label\none,x\ntwo,\n");
  EXPECT_NE(refusal("d.csv").find("line 3 is not \"text,label\""), std::string::npos);
  EXPECT_NE(refusal("a.csv", {.answers = AnswerKind::boxes}).find("texts have no places"),
            std::string::npos);
}

TEST(TextList, LinesAndColumnsWithoutAnswers) {
  const auto lines = lines_of("one\n\n two \r\nthree", "f");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1].name, "f:3");
  EXPECT_EQ(lines[1].text, "two");
  const TemporaryFolder folder;
  write_text(folder / "a.csv", "id,review\n7,\"fine, really\"\n8,dull\n");
  const auto texts = texts_of_table(folder / "a.csv");
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0].text, "fine, really");
  EXPECT_EQ(texts[1].name, folder / "a.csv:3");
  EXPECT_EQ(texts_of_table(folder / "a.csv", "id")[1].text, "8");
  EXPECT_THROW(texts_of_table(folder / "a.csv", "nothing"), Error);
}

}  // namespace
}  // namespace graft::io
