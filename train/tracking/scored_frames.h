// A sequence as its scores need it: frame by frame, identities counted from 0, overlaps computed.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graft/train/tracking/track_scores.h"

namespace graft::train {

struct ScoredFrame {
  std::vector<size_t> objects{}, tracks{};  // identities
  std::vector<double> overlaps{};           // [objects,tracks]

  double overlap(size_t object, size_t track) const {
    return overlaps[object * tracks.size() + track];
  }
};

struct ScoredSequence {
  std::vector<ScoredFrame> frames{};
  std::vector<int64_t> boxes_of_object{}, boxes_of_track{};
  int64_t boxes = 0, found_boxes = 0;
};

ScoredSequence scored_sequence(std::span<const io::FrameBox> truth,
                               std::span<const io::FrameBox> found);

// least_overlap as track_scores().
ClearScores clear_scores(const ScoredSequence& sequence, double least_overlap);
IdentityScores identity_scores(const ScoredSequence& sequence, double least_overlap);
HotaScores hota_scores(const ScoredSequence& sequence);

// 0 where there is nothing to divide by.
double ratio_of(int64_t part, int64_t whole);

}  // namespace graft::train
