// Tracker: which boxes of a sequence's frames are the same object, frame by frame.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/io/datasets/boxes.h"

namespace graft::train {

// A box that was found in a frame, in pixels.
struct SeenBox {
  io::Box box{};
  double score = 1;  // 0 to 1, the surest 1
  int64_t kind = 0;  // of the object; boxes of different kinds are never one object
};

struct TrackedBox {
  int64_t id = 0;    // from 1, in the order in which objects are first told
  io::Box box{};     // what the filter makes of the boxes seen so far
  double score = 0;  // of the box seen
  int64_t kind = 0;
  int64_t seen = 0;  // its place among the boxes given
};

enum class TrackerKind { sort, bytetrack };
// "sort", "bytetrack". Error(usage) for another word.
GRAFT_API TrackerKind tracker_named(const std::string& name);

// Frames are counted by calls of update().
struct GRAFT_API TrackerOptions {
  TrackerKind kind = TrackerKind::bytetrack;
  // sort: boxes below are passed over. bytetrack: boxes above are paired first (track_thresh).
  double sure = 0.5;
  // bytetrack: boxes above this, and below `sure`, are paired with what is left of the objects that
  // were seen in the frame before.
  double unsure = 0.1;
  // bytetrack: so much more than `sure` a box needs to begin an object (det_thresh - track_thresh).
  double more_to_begin = 0.1;
  // The least overlap of a box and an object's predicted one. sort: iou_threshold; bytetrack: of
  // the first pairing, times the box's score (1 - match_thresh).
  double least_overlap = 0.2;
  // Frames in a row without a box after which an object is forgotten. sort: max_age; bytetrack:
  // track_buffer.
  int64_t most_lost = 30;
  // sort: an object is told after so many boxes in a row behind its first (min_hits); in the first
  // so many frames at once.
  int64_t hits_to_tell = 3;

  // The papers' own, of the authors' programs: sort 0, -, -, 0.3, 1, 3; bytetrack as above.
  static TrackerOptions of(TrackerKind kind);
};

// SORT: Bewley et al., Simple Online and Realtime Tracking (2016), as the authors' sort.py.
// ByteTrack: Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box
// (2022), as the authors' byte_tracker.py; a lost object is forgotten one frame earlier, at
// most_lost. The same boxes always give the same answer. For one thread at a time.
class GRAFT_API Tracker {
 public:
  // Error(usage) for options out of range.
  explicit Tracker(const TrackerOptions& options = {});
  Tracker(Tracker&& other) noexcept;
  Tracker& operator=(Tracker&& other) noexcept;
  ~Tracker();

  // The boxes of the next frame, none included -> the objects seen in it, by id. Boxes less than
  // 1e-3 pixels wide or high are passed over. Error(bad_input), and the frame does not count, for
  // edges that are not finite or beyond 1e7, and of bytetrack for scores outside of 0 to 1.
  std::vector<TrackedBox> update(std::span<const SeenBox> boxes);
  int64_t frames() const;  // calls of update() so far

  struct Impl;  // sort.cpp, bytetrack.cpp

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft::train
