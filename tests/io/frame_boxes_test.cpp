// Boxes of frames: MOTChallenge's, KITTI's and graft's own text files, read and written.
#include "graft/io/datasets/frame_boxes.h"

#include <gtest/gtest.h>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

std::string refusal(const std::string& text) {
  try {
    parse_frame_boxes(text, "f.txt");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "taken";
}

void expect_same(const FrameBox& a, const FrameBox& b) {
  EXPECT_EQ(a.frame, b.frame);
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_NEAR(a.score, b.score, 1e-4);
  EXPECT_NEAR(a.box.left, b.box.left, 0.01);
  EXPECT_NEAR(a.box.top, b.box.top, 0.01);
  EXPECT_NEAR(a.box.right, b.box.right, 0.01);
  EXPECT_NEAR(a.box.bottom, b.box.bottom, 0.01);
}

TEST(FrameBoxes, MotChallengesFilesAreRead) {
  const FrameBoxes found =
      parse_frame_boxes("2,-1,10.5,20,30,40,0.75,-1,-1,-1\r\n1, -1, 1, 2, 3, 4\n\n", "det.txt");
  EXPECT_EQ(found.format, FrameBoxFormat::mot);
  ASSERT_EQ(found.boxes.size(), 2u);
  EXPECT_EQ(found.boxes[0].frame, 0) << "sorted, from 0";
  EXPECT_EQ(found.boxes[0].score, 1);
  EXPECT_EQ(found.boxes[1].box, (Box{10.5, 20, 40.5, 60}));
  EXPECT_EQ(found.boxes[1].score, 0.75);
  EXPECT_EQ(found.boxes[1].id, -1);
  const FrameBoxes truth =
      parse_frame_boxes("1,3,10,20,30,40,1,1,0.5\n1,4,10,20,30,40,0,7,1\n", "gt.txt");
  EXPECT_EQ(truth.boxes[0].kind, "1");
  EXPECT_TRUE(truth.boxes[0].is_judged);
  EXPECT_FALSE(truth.boxes[1].is_judged) << "its flag is 0";
}

TEST(FrameBoxes, KittisFilesAreRead) {
  const FrameBoxes found = parse_frame_boxes(
      "0 2 Car 0 1 -1.57 10 20 40 60 1.5 1.6 3.9 1 2 30 -1.5\n"
      "0 -1 DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n"
      "1 2 Car 0 1 -1.57 11 20 41 60 1.5 1.6 3.9 1 2 30 -1.5 0.5\n",
      "0000.txt");
  EXPECT_EQ(found.format, FrameBoxFormat::kitti);
  ASSERT_EQ(found.boxes.size(), 3u);
  EXPECT_EQ(found.boxes[0].kind, "Car");
  EXPECT_EQ(found.boxes[0].box, (Box{10, 20, 40, 60}));
  EXPECT_FALSE(found.boxes[1].is_judged);
  EXPECT_EQ(found.boxes[2].frame, 1);
  EXPECT_EQ(found.boxes[2].score, 0.5);
}

TEST(FrameBoxes, AnyFormatIsReadAsItWasWritten) {
  const std::vector<FrameBox> boxes = {
      {.frame = 0, .id = 1, .box = {1.25, 2, 30, 40}, .score = 0.5, .kind = "a, \"b\""},
      {.frame = 0, .id = -1, .box = {-3, 2, 3, 4.75}, .score = 1, .kind = "cell"},
      {.frame = 7, .id = 12, .box = {0, 0, 1000, 0}, .score = 0.1234, .kind = "cell"}};
  for (const auto format : {FrameBoxFormat::csv, FrameBoxFormat::mot, FrameBoxFormat::kitti}) {
    const FrameBoxes again = parse_frame_boxes(frame_boxes_text(boxes, format), "again");
    EXPECT_EQ(again.format, format);
    ASSERT_EQ(again.boxes.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      FrameBox expected = boxes[i];
      if (format == FrameBoxFormat::mot) expected.kind.clear();  // it has none
      if (format == FrameBoxFormat::kitti && i == 0) expected.kind = "a,_\"b\"";
      expect_same(again.boxes[i], expected);
    }
  }
  const std::vector<std::string> names(8, "x,y.png");
  const std::string named = frame_boxes_text(boxes, FrameBoxFormat::csv, names);
  EXPECT_TRUE(
      named.starts_with("frame,name,id,class,score,left,top,right,bottom\n1,\"x,y.png\",1,"))
      << named;
  expect_same(parse_frame_boxes(named, "n.csv").boxes[2], boxes[2]);
  EXPECT_TRUE(frame_boxes_text(boxes, FrameBoxFormat::kitti)
                  .starts_with("0 1 a,_\"b\" -1 -1 -10 1.25 2.00 30.00 40.00 "));
}

TEST(FrameBoxes, AFileOfNothingHasNoBoxes) {
  EXPECT_TRUE(parse_frame_boxes("", "x").boxes.empty());
  EXPECT_TRUE(parse_frame_boxes("\r\n \n", "x").boxes.empty());
  EXPECT_TRUE(parse_frame_boxes("frame,id,left,top,right,bottom\n", "x").boxes.empty());
}

TEST(FrameBoxes, WhatIsBrokenIsRefusedByItsLine) {
  EXPECT_EQ(refusal("1,2,3,4,5\n"),
            "f.txt: line 1 has 5 fields; frame,id,left,top,width,height are needed");
  EXPECT_EQ(refusal("1,1,0,0,5,5\n0,1,0,0,5,5\n"),
            "f.txt: line 2: '0' is no frame's number (1 to 10000000)");
  EXPECT_EQ(refusal("1.5,1,0,0,5,5\n"),
            "f.txt: line 1: '1.5' is no frame's number (1 to 10000000)");
  EXPECT_EQ(refusal("99999999999,1,0,0,5,5\n"),
            "f.txt: line 1: '99999999999' is no frame's number (1 to 10000000)");
  EXPECT_EQ(refusal("1,-2,0,0,5,5\n"), "f.txt: line 1: '-2' is no identity (-1 to 1000000000)");
  EXPECT_EQ(refusal("1,1,0,nan,5,5\n"),
            "f.txt: line 1: 'nan' is no number, where top should stand");
  EXPECT_EQ(refusal("1,1,0,1e300,5,5\n"), "f.txt: line 1: top 1e+300 is beyond 1e7");
  EXPECT_EQ(refusal("1,1,0,0,-5,5\n"), "f.txt: line 1: the box's width or height is negative");
  EXPECT_EQ(refusal("1,1,0,0,5,5,3,1,1\n"), "f.txt: line 1: '3' is no flag (0 to 1)");
  EXPECT_EQ(refusal("0 1 Car 0 0\n"),
            "f.txt: line 1 has 5 fields; KITTI's tracking files have 17, with a score 18");
  EXPECT_EQ(refusal("frame,left,top,right\n1,2,3,4\n"),
            "f.txt: there is no column bottom in its header");
  EXPECT_EQ(refusal(std::string(5000, '1')), "f.txt: line 1 has 5000 bytes; at most 4096 are read");
  EXPECT_EQ(refusal("0 1 " + std::string(300, 'x') + " 0 0 0 1 2 3 4 1 1 1 1 1 1 1\n"),
            "f.txt: line 1: a class's name of 300 bytes; at most 256 are read");
  EXPECT_EQ(refusal("0 1 \xff 0 0 0 1 2 3 4 1 1 1 1 1 1 1\n"),
            "f.txt: line 1: a class's name is no UTF-8");
  std::string crowd;
  for (int i = 0; i < 2001; ++i) crowd += "5,1,0,0,5,5\n";
  EXPECT_EQ(refusal(crowd), "f.txt: more than 2000 boxes in one frame");
  EXPECT_THROW(frame_box_format_named("coco"), Error);
  EXPECT_EQ(frame_box_format_named("kitti"), FrameBoxFormat::kitti);
}

TEST(FrameBoxes, AFileIsReadByItsPath) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "gt.txt", "1,1,0,0,5,5\n");
  EXPECT_EQ(read_frame_boxes(folder / "gt.txt").boxes.size(), 1u);
  EXPECT_THROW(read_frame_boxes(folder / "none.txt"), Error);
}

}  // namespace
}  // namespace graft::io
