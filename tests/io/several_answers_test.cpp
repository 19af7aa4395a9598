// Tables that give an image several labels, or numbers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "graft/core/base/error.h"
#include "graft/io/datasets/label_cells.h"
#include "graft/io/datasets/summary.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

using Labels = std::vector<int64_t>;
using Names = std::vector<std::string>;

class SeveralAnswers : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 8; ++i) put(str("i", i, ".pgm"), "P5 1 1 255 x");
  }
  void put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  OpenedData opened(const std::string& text, AnswerKind answers, DataOptions options = {}) {
    put("t.csv", text);
    options.answers = answers;
    options.val_split = 0;
    return open_data(folder_ / "t.csv", options);
  }
  std::string refusal(const std::string& text, AnswerKind answers, DataOptions options = {}) {
    try {
      opened(text, answers, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  TemporaryFolder folder_;
};

TEST(LabelCells, SayWhatTheyHold) {
  EXPECT_EQ(yes_or_no("1.0"), true);
  EXPECT_EQ(yes_or_no("False"), false);
  EXPECT_FALSE(yes_or_no("0.5").has_value());
  EXPECT_EQ(number_in("-1.5e3"), -1500);
  for (const char* none : {"", "nan", "inf", "1,5", "1 m", "0x10"})
    EXPECT_FALSE(number_in(none).has_value()) << none;
  EXPECT_EQ(parts_of_cell(" a | b||c ", '|'), (Names{"a", "b", "c"}));
  EXPECT_TRUE(parts_of_cell("", '|').empty());
}

TEST_F(SeveralAnswers, ListsInOneColumn) {
  const std::string text = "path,label\ni0.pgm,cat|dog\ni1.pgm,dog\ni2.pgm,\ni3.pgm,bird | cat\n";
  for (const AnswerKind asked : {AnswerKind::several_labels, AnswerKind::by_form}) {
    const OpenedData data = opened(text, asked);
    EXPECT_EQ(data.answers, AnswerKind::several_labels);
    EXPECT_EQ(data.answers_why.empty(), asked == AnswerKind::several_labels);
    EXPECT_EQ(data.classes, (Names{"bird", "cat", "dog"}));
    ASSERT_EQ(data.train->size(), 4);
    EXPECT_EQ(data.train->labels(0), (Labels{1, 2}));
    EXPECT_EQ(data.train->labels(2), Labels{});
    EXPECT_EQ(data.train->labels(3), (Labels{0, 1}));
  }
  for (const char* mark : {";", " "}) {
    std::string other = text;
    for (size_t at; (at = other.find('|')) != std::string::npos;) other.replace(at, 1, mark);
    EXPECT_EQ(opened(other, AnswerKind::several_labels).classes.size(), 3u) << mark;
  }
}

TEST_F(SeveralAnswers, ListsInJsonLines) {
  put("t.jsonl",
      "{\"path\":\"i0.pgm\",\"labels\":[\"a\",\"b\"]}\n"
      "{\"path\":\"i1.pgm\",\"labels\":[]}\n{\"path\":\"i2.pgm\",\"labels\":[\"b\"]}\n");
  const OpenedData data =
      open_data(folder_ / "t.jsonl", {.answers = AnswerKind::several_labels, .val_split = 0});
  EXPECT_EQ(data.classes, (Names{"a", "b"}));
  EXPECT_EQ(data.train->labels(0), (Labels{0, 1}));
  EXPECT_EQ(data.train->labels(1), Labels{});
}

TEST_F(SeveralAnswers, RowsOfAnImageArePutTogether) {
  const OpenedData data = opened("path,label\ni0.pgm,cat\ni1.pgm,dog\ni0.pgm,dog\ni1.pgm,dog\n",
                                 AnswerKind::several_labels);
  ASSERT_EQ(data.train->size(), 2);
  EXPECT_EQ(data.train->labels(0), (Labels{0, 1}));
  EXPECT_EQ(data.train->labels(1), Labels{1});
}

TEST_F(SeveralAnswers, AColumnForEachLabel) {
  const std::string text = "path,red,round\ni0.pgm,1,0\ni1.pgm,0,0\ni2.pgm,1,1\n";
  const OpenedData data = opened(text, AnswerKind::by_form);
  EXPECT_EQ(data.answers, AnswerKind::several_labels);
  EXPECT_TRUE(has(data.answers_why, "2 label columns hold 0 and 1"));
  EXPECT_EQ(data.classes, (Names{"red", "round"}));
  EXPECT_EQ(data.train->labels(1), Labels{});
  EXPECT_EQ(data.train->labels(2), (Labels{0, 1}));
  const OpenedData one = opened(text, AnswerKind::several_labels, {.columns = {.label = "round"}});
  EXPECT_EQ(one.classes, Names{"round"});
  EXPECT_EQ(one.train->labels(2), Labels{0});
  const OpenedData turned =
      opened(text, AnswerKind::several_labels, {.columns = {.label = "round,red"}});
  EXPECT_EQ(turned.classes, (Names{"round", "red"}));
  EXPECT_TRUE(has(refusal("path,red,round\ni0.pgm,1,2\n", AnswerKind::several_labels,
                          {.columns = {.label = "red,round"}}),
                  "line 2: '2' in round is neither 0 nor 1"));
  EXPECT_TRUE(has(refusal(text, AnswerKind::one_label), "which column is the label?"));
  EXPECT_TRUE(has(refusal("path,red,red\ni0.pgm,1,0\n", AnswerKind::by_form),
                  "two label columns are called red"));
}

TEST_F(SeveralAnswers, Numbers) {
  const std::string text = "path,angle\ni0.pgm,1.5\ni1.pgm,-20\ni2.pgm,4\n";
  for (const AnswerKind asked : {AnswerKind::numbers, AnswerKind::by_form}) {
    const OpenedData data = opened(text, asked);
    EXPECT_EQ(data.answers, AnswerKind::numbers);
    EXPECT_EQ(data.classes, Names{"angle"});
    EXPECT_EQ(data.train->numbers(1), std::vector<double>{-20});
    const DataSummary summary = summarize("t.csv", data, {});
    EXPECT_TRUE(has(summary.lines()[0], "1 number, 3 training images")) << summary.lines()[0];
    EXPECT_TRUE(has(summary.lines()[1], "training -20 to 4 (mean -4.833)")) << summary.lines()[1];
  }
  const OpenedData two = opened("path,x,y\ni0.pgm,1,2.5\ni1.pgm,3,4\n", AnswerKind::by_form);
  EXPECT_EQ(two.train->numbers(0), (std::vector<double>{1, 2.5}));
  EXPECT_TRUE(has(refusal("path,angle\ni0.pgm,1.5\ni1.pgm,north\n", AnswerKind::numbers),
                  "line 3: 'north' in angle is not a number"));
  EXPECT_EQ(opened("path,year\ni0.pgm,1999\ni1.pgm,2000\n", AnswerKind::by_form).answers,
            AnswerKind::one_label)
      << "whole numbers may be names";
}

TEST_F(SeveralAnswers, ManyWholeNumbersAreDoubtedAsNames) {
  std::string text = "path,age\n";
  for (int i = 0; i < 31; ++i) text += str("i", i, ".pgm,", 20 + i, "\n");
  const OpenedData data = opened(text, AnswerKind::by_form);
  EXPECT_EQ(data.answers, AnswerKind::one_label);
  ASSERT_EQ(data.doubts.size(), 1u);
  EXPECT_TRUE(has(data.doubts[0], "31 different numbers")) << data.doubts[0];
  EXPECT_EQ(opened(text, AnswerKind::numbers).doubts.size(), 0u);
}

TEST_F(SeveralAnswers, AreDrawnByTheirRarestLabelAndCountedEach) {
  put("t.csv",
      "path,label\ni0.pgm,a\ni1.pgm,a|b\ni2.pgm,a\ni3.pgm,a|b\ni4.pgm,a\ni5.pgm,\ni6.pgm,a\n"
      "i7.pgm,\n");
  const OpenedData data =
      open_data(folder_ / "t.csv", {.answers = AnswerKind::several_labels, .val_split = 0.3});
  int64_t with_b = 0;
  for (int64_t i = 0; i < data.val->size(); ++i)
    for (const int64_t label : data.val->labels(i)) with_b += label == 1;
  EXPECT_EQ(with_b, 1) << "one of two, though they are few";
  const DataSummary summary = summarize("t.csv", data, {});
  EXPECT_EQ(summary.parts[0].counts[1], 1);
  EXPECT_EQ(summary.parts[0].unlabelled + summary.parts[1].unlabelled, 2);
}

TEST_F(SeveralAnswers, AFolderWithALabelsFile) {
  put("labels.csv", "path,label\ni0.pgm,a|b\ni1.pgm,b\n");
  const OpenedData data =
      open_data(folder_.path(), {.answers = AnswerKind::several_labels, .val_split = 0});
  EXPECT_EQ(data.train->size(), 2);
  EXPECT_THROW(open_data(folder_.path(), {.answers = AnswerKind::numbers, .val_split = 0}), Error);
}

TEST_F(SeveralAnswers, FingerprintsTellAnswersApart) {
  const auto print = [&](const char* text, AnswerKind kind) {
    return opened(text, kind).manifest_sha256;
  };
  EXPECT_NE(print("path,a,b\ni0.pgm,1,0\ni1.pgm,1,1\n", AnswerKind::by_form),
            print("path,a,b\ni0.pgm,1,1\ni1.pgm,1,1\n", AnswerKind::by_form));
  EXPECT_NE(print("path,a\ni0.pgm,1.5\n", AnswerKind::numbers),
            print("path,a\ni0.pgm,1.6\n", AnswerKind::numbers));
}

TEST_F(SeveralAnswers, LabelsUnderOtherNames) {
  const OpenedData data =
      opened("path,label\ni0.pgm,a|b\ni1.pgm,b|c\n", AnswerKind::several_labels);
  const auto other = several_relabelled(data.train, {5, -1, 0});
  EXPECT_EQ(other->labels(0), Labels{5});
  EXPECT_EQ(other->labels(1), Labels{0});
  EXPECT_EQ(subset(other, {1})->labels(0), Labels{0});
}

}  // namespace
}  // namespace graft::io
