// How well a sequence was tracked: CLEAR MOT, identities and HOTA.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "graft/io/datasets/frame_boxes.h"

namespace graft::train {

inline constexpr int kHotaBounds = 19;  // of the overlap: 0.05, 0.10 ... 0.95

// Bernardin and Stiefelhagen, Evaluating Multiple Object Tracking Performance: the CLEAR MOT
// Metrics (2008), as py-motmetrics counts: an object keeps the track that it had, if that overlaps
// it enough; the others are paired so that as many as possible are, with the least distance.
struct ClearScores {
  double mota = 0;  // 1 - (misses + false positives + switches) / boxes of the truth; may be < 0
  double motp = 0;  // mean distance, 1 - overlap, of the pairs; NaN where there is none
  int64_t matches = 0, switches = 0, false_positives = 0, misses = 0;
  int64_t fragmentations = 0;  // times that an object is lost between its first and last pair
  // Objects paired in 80 % or more of their frames, in between, in less than 20 %.
  int64_t mostly_tracked = 0, partly_tracked = 0, mostly_lost = 0;
};

// Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking
// (2016): each object paired with one track for the whole sequence.
struct IdentityScores {
  double idf1 = 0, precision = 0, recall = 0;
  int64_t right = 0, false_positives = 0, misses = 0;  // IDTP, IDFP, IDFN
};

// Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking (2020), as
// TrackEval computes it: means over the bounds of the overlap.
struct HotaScores {
  double hota = 0, det_a = 0, ass_a = 0, loc_a = 0;
  double det_re = 0, det_pr = 0, ass_re = 0, ass_pr = 0;
  std::array<double, kHotaBounds> hota_at{};  // of each bound
};

struct TrackScores {
  int64_t frames = 0;              // in which there is a box of either
  int64_t boxes = 0, objects = 0;  // of the truth
  int64_t found_boxes = 0, tracks = 0;
  ClearScores clear{};
  IdentityScores identity{};
  HotaScores hota{};
};

// Boxes of a sequence as they are in truth and as they were tracked, in any order. Those of the
// truth that are not judged (FrameBox::is_judged) are left out; what was found there counts as
// wrong. Kinds are not compared. least_overlap: of a pair, for all but HOTA. Error(bad_input)
// where the truth has no box, a box no identity, or a frame two boxes of one.
GRAFT_API TrackScores track_scores(std::span<const io::FrameBox> truth,
                                   std::span<const io::FrameBox> found, double least_overlap = 0.5);

}  // namespace graft::train
