// Images with boxes: where they lie, how they are read, and what is said of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/annotation_text.h"
#include "graft/io/datasets/summary.h"
#include "graft/io/images/png_writer.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

using Names = std::vector<std::string>;

std::string voc(const std::string& objects, int width = 20, int height = 10) {
  return str("<annotation>\n<size><width>", width, "</width><height>", height, "</height></size>\n",
             objects, "</annotation>\n");
}
std::string object(const std::string& name, double left, double top, double right, double bottom,
                   const std::string& more = "") {
  return str("<object><name>", name, "</name>", more, "<bndbox><xmin>", left, "</xmin><ymin>", top,
             "</ymin><xmax>", right, "</xmax><ymax>", bottom, "</ymax></bndbox></object>\n");
}

class BoxData : public testing::Test {
 protected:
  void text(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    write_file_atomically(folder_ / name, content);
  }
  // 20 pixels wide, 10 high.
  void image(const std::string& name) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    write_png(folder_ / name, {20, 10, 1, Tensor::zeros({10, 20, 1}, {.dtype = DType::u8})});
  }
  OpenedData opened(const std::string& path = "", AnswerKind answers = AnswerKind::boxes) {
    return open_data(path.empty() ? folder_.path() : folder_ / path,
                     {.answers = answers, .val_split = 0});
  }
  std::string refusal(const std::string& path = "") {
    try {
      opened(path);
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
  TemporaryFolder folder_;
};

TEST_F(BoxData, PascalVocWithItsLists) {
  for (const char* name : {"a", "b", "c"}) image(str("set/JPEGImages/", name, ".png"));
  text("set/Annotations/a.xml",
       voc(object("cat", 2, 1, 12, 9) + object("dog", 0, 0, 5, 5, "<difficult>1</difficult>")));
  text("set/Annotations/b.xml", voc(""));
  text("set/Annotations/c.xml", voc(object("dog", 1, 1, 4, 4)));
  text("set/ImageSets/Main/train.txt", "a\nb\n");
  text("set/ImageSets/Main/test.txt", "c 1\n");
  text("set/ImageSets/Main/trainval.txt", "a\nb\nc\n");
  const OpenedData data = opened("", AnswerKind::by_form);
  EXPECT_EQ(data.format, "boxes");
  EXPECT_EQ(data.answers, AnswerKind::boxes);
  EXPECT_EQ(data.answers_why, "Annotations/ holds Pascal VOC files of boxes");
  EXPECT_EQ(data.classes, (Names{"cat", "dog"}));
  ASSERT_EQ(data.train->size(), 2);
  ASSERT_TRUE(data.val);
  EXPECT_EQ(data.val->size(), 1) << "the test part, where there is no other";
  const BoxedImage first = data.train->boxes(0);
  EXPECT_EQ(first.width, 20);
  ASSERT_EQ(first.boxes.size(), 2u);
  EXPECT_EQ(first.boxes[0].box, (Box{2, 1, 12, 9}));
  EXPECT_TRUE(first.boxes[1].difficult);
  EXPECT_EQ(data.train->labels(0), (std::vector<int64_t>{0})) << "a difficult one does not count";
  EXPECT_TRUE(data.train->boxes(1).boxes.empty()) << "no objects are a legal answer";
  const OpenedData listed = opened("set/ImageSets/Main/trainval.txt", AnswerKind::by_form);
  EXPECT_EQ(listed.train->size(), 3);
  EXPECT_TRUE(says(summarize("p", data, {}).lines(10), "2 classes of objects"));
}

TEST_F(BoxData, BoxesThatDoNotFitAreSaid) {
  for (const char* name : {"a", "b", "lone"}) image(str("images/", name, ".png"));
  text("annotations/a.xml",
       voc(object("cat", -5, 1, 12, 90) + object("cat", 3, 3, 3, 8) + object("cat", 30, 3, 40, 8)));
  text("annotations/b.xml", voc(object("cat", 0, 0, 20, 10)));
  const OpenedData data = opened();
  ASSERT_EQ(data.train->size(), 2);
  ASSERT_EQ(data.train->boxes(0).boxes.size(), 1u);
  EXPECT_EQ(data.train->boxes(0).boxes[0].box, (Box{0, 1, 12, 10}));
  EXPECT_TRUE(says(data.notes, "1 box reaches beyond its image and is cut at the edge, as in"));
  EXPECT_TRUE(says(data.notes, "1 box without width or height is left out"));
  EXPECT_TRUE(says(data.notes, "1 box outside of its image is left out"));
  EXPECT_TRUE(says(data.notes, "left out: 1 image without a file of boxes"));
  text("annotations/lone.xml", voc(object("cat", 1, 1, 4, 4), 640, 480));
  EXPECT_NE(refusal().find("is of 20x10 pixels, its boxes are for 640x480"), std::string::npos);
}

// A damaged file that comes first does not make the set one of YOLO's, whose classes are numbers.
TEST_F(BoxData, ADamagedFirstFileIsNamed) {
  for (int i = 0; i < 12; ++i) {
    image(str("set/JPEGImages/", i + 10, ".png"));
    text(str("set/Annotations/", i + 10, ".xml"), voc(object("cat", 1, 1, 4, 4)));
  }
  text("set/Annotations/10.xml", "<annotation><object><name>cat</name>");
  const OpenedData data = opened();
  EXPECT_EQ(data.classes, (Names{"cat"}));
  EXPECT_EQ(data.train->size(), 11);
  for (int i = 0; i < 12; ++i) text(str("set/Annotations/", i + 10, ".xml"), "<annotation>");
  EXPECT_NE(refusal("set").find("cannot be used, more than 10 %"), std::string::npos);
  text("set/ImageSets/Main/train.txt", "11\n12\n");
  text("set/ImageSets/Main/val.txt", "10\n");
  for (const int i : {11, 12})
    text(str("set/Annotations/", i, ".xml"), voc(object("cat", 1, 1, 4, 4)));
  EXPECT_NE(refusal("set").find("1 of 1 image"), std::string::npos) << refusal("set");
}

TEST_F(BoxData, YoloInPartsWithNames) {
  image("images/train/a.png");
  image("images/val/b.png");
  text("labels/train/a.txt", "1 0.5 0.5 0.5 1\n0 0.1 0.1 0.3 0.1 0.3 0.5\n");
  text("labels/val/b.txt", "");
  text("data.yaml", "nc: 2\nnames:\n  0: cat\n  1: 'big dog'\ntrain: x\n");
  const OpenedData data = opened("", AnswerKind::by_form);
  EXPECT_EQ(data.classes, (Names{"cat", "big dog"}));
  const BoxedImage first = data.train->boxes(0);
  ASSERT_EQ(first.boxes.size(), 2u);
  EXPECT_EQ(first.boxes[0].box, (Box{5, 0, 15, 10}));
  EXPECT_EQ(first.boxes[0].label, 1);
  EXPECT_EQ(first.boxes[1].box, (Box{2, 1, 6, 5})) << "around the outline";
  EXPECT_EQ(data.val->size(), 1);
  EXPECT_EQ(parse_yolo_names("names: [a, \"b c\"]\n", "data.yaml"), (Names{"a", "b c"}));
  EXPECT_EQ(parse_yolo_names("a\nb\n", "classes.txt"), (Names{"a", "b"}));
  text("labels/train/a.txt", "7 0.5 0.5 0.5 1\n");
  EXPECT_NE(refusal().find("class 7 of 2"), std::string::npos);
}

TEST_F(BoxData, Coco) {
  image("train/a.png");
  image("train/b.png");
  const std::string json =
      R"({"images":[{"id":4,"file_name":"a.png","width":20,"height":10},{"id":9,"file_name":"b.png"}],
          "annotations":[{"id":1,"image_id":4,"category_id":3,"bbox":[2,1,10,4],"area":30,"iscrowd":0},
                         {"id":2,"image_id":4,"category_id":1,"bbox":[0,0,5,5],"iscrowd":1}],
          "categories":[{"id":1,"name":"dog"},{"id":3,"name":"cat"}]})";
  text("train/_annotations.coco.json", json);
  const OpenedData data = opened("", AnswerKind::by_form);
  EXPECT_EQ(data.answers_why, "_annotations.coco.json is COCO's JSON");
  EXPECT_EQ(data.classes, (Names{"dog", "cat"}));
  ASSERT_EQ(data.train->size(), 2);
  const BoxedImage first = data.train->boxes(0);
  ASSERT_EQ(first.boxes.size(), 2u);
  EXPECT_EQ(first.boxes[0].box, (Box{2, 1, 12, 5}));
  EXPECT_DOUBLE_EQ(first.boxes[0].area, 30);
  EXPECT_TRUE(first.boxes[1].crowd);
  for (const std::string& broken :
       {std::string(R"({"images":[{"id":4}],"categories":[]})"), json.substr(0, 300),
        std::string(R"({"images":[{"id":"x","file_name":"a.png"}],"categories":[]})"),
        std::string(R"({"images":[{"id":1,"file_name":"../a.png"}],"categories":[]})")}) {
    text("train/_annotations.coco.json", broken);
    EXPECT_FALSE(refusal().empty()) << broken;
  }
}

TEST_F(BoxData, Table) {
  image("a.png");
  image("b.png");
  image("c.png");
  text("boxes.csv",
       "filename,width,height,class,xmin,ymin,xmax,ymax,split\n"
       "a.png,20,10,cat,1,2,11,8,train\na.png,20,10,dog,0,0,4,4,train\n"
       "b.png,20,10,,,,,,train\nc.png,20,10,cat,1,1,3,3,val\nd.png,20,10,cat,1,1,3,3,val\n");
  const OpenedData data = opened("boxes.csv", AnswerKind::by_form);
  EXPECT_EQ(data.answers_why, "its columns xmin, ymin, xmax and ymax are of boxes");
  ASSERT_EQ(data.train->size(), 2);
  EXPECT_EQ(data.train->boxes(0).boxes.size(), 2u);
  EXPECT_TRUE(data.train->boxes(1).boxes.empty());
  EXPECT_EQ(data.val->size(), 1);
  EXPECT_TRUE(says(data.notes, "left out: 1 image that is not there: d.png"));
  text("boxes.csv", "image,class,xmin,ymin,xmax,ymax\na.png,cat,1,2,x,8\n");
  EXPECT_NE(refusal("boxes.csv").find("line 2: 'x' is no number of pixels"), std::string::npos);
  text("boxes.csv", "image,label\na.png,cat\n");
  EXPECT_NE(refusal("boxes.csv").find("the columns image, class, xmin"), std::string::npos);
}

TEST_F(BoxData, WhatHoldsNoBoxesIsSomethingElse) {
  image("cats/a.png");
  image("dogs/b.png");
  text("cats/a.txt", "a cat on a mat\n");
  EXPECT_EQ(opened("", AnswerKind::by_form).answers, AnswerKind::one_label);
  EXPECT_NE(refusal().find("images and a file of boxes each are needed"), std::string::npos);
}

// Each is refused in a sentence that names the file.
TEST(VocAnnotation, HostileFiles) {
  const auto refused = [](const std::string& text, const std::string& words) {
    try {
      parse_voc(text, "f.xml");
      ADD_FAILURE() << "was read: " << text.substr(0, 80);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      EXPECT_EQ(std::string(error.what()).find("f.xml: line "), 0u) << error.what();
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  };
  refused("<!DOCTYPE a [<!ENTITY b \"c\">]><annotation/>", "document type or entities");
  refused("<annotation>&b;</annotation>", "the entity &b; is not read");
  refused("<annotation>&#65;</annotation>", "the entity");
  refused("<annotation>&amp", "the entity");
  refused("<annotation>", "ends within <annotation>");
  refused("<annotation></b>", "closes nothing");
  refused("</annotation>", "closes nothing");
  refused("<annotation", "a tag is not closed");
  refused("<annotation a=\">", "a tag is not closed");
  refused("<!-- <annotation/>", "is not closed");
  refused("<annotation><![CDATA[x</annotation>", "CDATA is not closed");
  refused("", "is no XML");
  refused("words", "is no XML");
  refused("<html/>", "is not the <annotation>");
  refused("<annotation/><annotation/>", "second root");
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += i == 0 ? "<annotation>" : "<a>";
  refused(deep, "elements lie more than 16 deep");
  refused(voc("<object><name>a</name></object>"), "has no xmin, ymin, xmax and ymax");
  refused(voc("<object><bndbox/></object>"), "an object has no name");
  refused(voc("<object><bndbox><xmin>nan</xmin></bndbox></object>"), "'nan' is no number");
  EXPECT_TRUE(parse_voc("<annotation/>", "f.xml").boxes.empty());
  const AnnotatedFile read = parse_voc(
      "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- <b> -->\n<annotation verified=\"a > b\">\n" +
          object("salt &amp; <![CDATA[<pepper>]]>", 1, 2, 3.5, 4,
                 "<part><bndbox><xmin>7</xmin></bndbox></part>") +
          "</annotation>",
      "f.xml");
  ASSERT_EQ(read.boxes.size(), 1u);
  EXPECT_EQ(read.boxes[0].name, "salt & <pepper>");
  EXPECT_EQ(read.boxes[0].box, (Box{1, 2, 3.5, 4}));
}

TEST(YoloAnnotation, HostileFiles) {
  for (const char* text :
       {"0 0.5 0.5 0.5", "0 0.5 0.5 0.5 x", "-1 0.5 0.5 0.5 0.5", "0.5 0.5 0.5 0.5 0.5",
        "1e30 0.5 0.5 0.5 0.5", "0 1 2 3 4 5", "0 0.5 0.5 inf 0.5"})
    EXPECT_THROW(parse_yolo(text, {}, "f.txt"), Error) << text;
  EXPECT_TRUE(parse_yolo("\r\n  \n", {}, "f.txt").boxes.empty());
}

}  // namespace
}  // namespace graft::io
