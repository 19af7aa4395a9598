// Boxes in the frames of a sequence, with identities or without: the text files of MOTChallenge and
// KITTI tracking, and a table of graft's own.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/io/datasets/boxes.h"

namespace graft::io {

enum class FrameBoxFormat { csv, mot, kitti };

struct FrameBox {
  int64_t frame = 0;  // from 0, whatever the file counts from
  int64_t id = -1;    // of the object; -1: it has none
  Box box{};
  double score = 1;
  std::string kind{};     // name (KITTI, csv) or number (MOTChallenge) of its class; "": not said
  bool is_judged = true;  // false: MOTChallenge's flag is 0, KITTI's DontCare
};

// Sorted by frame; in a frame as in the file.
struct FrameBoxes {
  FrameBoxFormat format = FrameBoxFormat::csv;
  std::vector<FrameBox> boxes{};
};

constexpr int64_t kMostFrames = 10000000;
constexpr int64_t kMostInFrame = 2000;  // boxes
constexpr int64_t kMostFrameBoxBytes = int64_t{256} << 20;

// The format is told by the first line:
//   csv    a header with the columns frame (from 1), left, top, right, bottom, and where there are
//          such id, score, class; more columns are passed over. Separators and quotes as in any
//          table.
//   mot    "frame,id,left,top,width,height[,score[,...]]", frames from 1, id -1: none. Of nine
//          fields with an id, MOTChallenge's ground truth, the seventh is its flag and the eighth
//          the class.
//   kitti  "frame id type truncated occluded alpha left top right bottom", seven numbers of three
//          dimensions, which are passed over, and where there is one the score; frames from 0.
// Pixels are taken as they stand, whether a file counts them from 0 or from 1: that is a pixel at
// most. Error(bad_input) naming `name` and the line for what is broken, frames from kMostFrames on,
// more than kMostInFrame boxes in one, and numbers of 1e7 and more.
GRAFT_API FrameBoxes parse_frame_boxes(const std::string& text, const std::string& name);
GRAFT_API FrameBoxes read_frame_boxes(const std::string& path);

// frame_boxes_writer.cpp: the same formats, two digits after the point. frame_names: of the images,
// for the csv's column name; empty: it has none. Of an object without a class KITTI's type is
// "Object", blanks in names become "_"; dimensions and places in space are KITTI's words for
// unknown (-1, -1000).
GRAFT_API std::string frame_boxes_text(std::span<const FrameBox> boxes, FrameBoxFormat format,
                                       std::span<const std::string> frame_names = {});

// "csv", "mot", "kitti". Error(usage) for another word.
GRAFT_API FrameBoxFormat frame_box_format_named(const std::string& name);

}  // namespace graft::io
