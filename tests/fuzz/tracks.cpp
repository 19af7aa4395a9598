// Boxes in frames: MOTChallenge's, KITTI's and graft's own text files. What is read is written in
// every format and read again.
#include <string>

#include "graft/io/datasets/frame_boxes.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(tracks, 400, 1 << 20, [](graft::fuzz::Bytes bytes) {
  using graft::io::FrameBoxFormat;
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const graft::io::FrameBoxes found = graft::io::parse_frame_boxes(text, "f");
  for (const auto format : {FrameBoxFormat::csv, FrameBoxFormat::mot, FrameBoxFormat::kitti}) {
    const std::string written = graft::io::frame_boxes_text(found.boxes, format);
    const graft::io::FrameBoxes again = graft::io::parse_frame_boxes(written, "again");
    if (again.boxes.size() != found.boxes.size())
      graft::fail(graft::ErrorCode::internal, again.boxes.size(), " boxes of ", found.boxes.size());
  }
})
