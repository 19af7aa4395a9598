// A made sequence to be tracked: moving squares and discs on a dark ground, with crossings and
// gaps.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/io/datasets/frame_boxes.h"
#include "graft/io/images/image.h"

namespace graft {

struct MadeSequence {
  int64_t frames = 0, width = 0, height = 0;
  std::vector<io::FrameBox> truth{};  // where the objects are; hidden ones too
  std::vector<io::FrameBox> seen{};   // what a detector would find: noise, gaps, low scores
};

// Four objects of two kinds for 60 frames of 160 x 120: the first two cross in the middle, the
// third is not seen for 6 frames, the fourth's scores are low for 10. Boxes are off by at most
// 1 pixel an edge, by counted random numbers of the seed.
MadeSequence made_sequence(uint64_t seed);
// The frame as an image: each object in its own brightness, hidden ones not drawn.
io::Image made_frame(const MadeSequence& made, int64_t frame);
// All frames as frame_1.png, frame_2.png ... (not in the order of letters), and gt.txt, det.txt
// beside them in MOTChallenge's form.
void write_made_sequence(const MadeSequence& made, const std::string& folder);

}  // namespace graft
