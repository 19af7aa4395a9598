// SORT: a filter for each object, one assignment a frame.
#include <algorithm>
#include <cmath>

#include "graft/train/tracking/assignment.h"
#include "graft/train/tracking/association.h"
#include "graft/train/tracking/box_filter.h"

namespace graft::train {
namespace {

struct SortTrack {
  AreaFilter filter;
  int64_t kind = 0;
  int64_t id = 0;  // 0: not told yet
  int64_t hits = 0, unseen = 0;
  int64_t seen = -1;  // in this frame
  double score = 0;

  void predict() {
    filter.predict();
    if (unseen > 0) hits = 0;
    ++unseen;
    seen = -1;
  }
  void correct(const SeenBox& box, size_t place) {
    filter.correct(box.box);
    unseen = 0;
    ++hits;
    take(box, place);
  }
  void take(const SeenBox& box, size_t place) {
    seen = static_cast<int64_t>(place);
    score = box.score;
  }
};

bool is_finite(const io::Box& box) {
  return std::isfinite(box.left) && std::isfinite(box.top) && std::isfinite(box.right) &&
         std::isfinite(box.bottom);
}

class Sort final : public Tracker::Impl {
 public:
  using Impl::Impl;

  std::vector<TrackedBox> update(std::span<const SeenBox> boxes) override {
    for (SortTrack& track : tracks_) track.predict();
    std::erase_if(tracks_, [](const SortTrack& track) { return !is_finite(track.filter.box()); });
    std::vector<size_t> places;  // of the boxes that are not passed over
    for (size_t i = 0; i < boxes.size(); ++i)
      if (boxes[i].score >= options.sure) places.push_back(i);
    const std::vector<int64_t> track_of = paired(boxes, places);
    for (size_t i = 0; i < places.size(); ++i)
      if (track_of[i] >= 0)
        tracks_[static_cast<size_t>(track_of[i])].correct(boxes[places[i]], places[i]);
    for (size_t i = 0; i < places.size(); ++i)
      if (track_of[i] < 0) begin(boxes[places[i]], places[i]);
    std::vector<TrackedBox> all = told();
    std::erase_if(tracks_,
                  [this](const SortTrack& track) { return track.unseen > options.most_lost; });
    return all;
  }

 private:
  void begin(const SeenBox& box, size_t place) {
    tracks_.push_back({.filter = AreaFilter(box.box), .kind = box.kind});
    tracks_.back().take(box, place);
  }

  std::vector<TrackedBox> told() {
    std::vector<TrackedBox> all;
    for (SortTrack& track : tracks_) {
      const bool is_sure = track.hits >= options.hits_to_tell || frame <= options.hits_to_tell;
      const io::Box box = track.filter.box();
      if (track.unseen > 0 || !is_sure || !is_finite(box)) continue;
      if (track.id == 0) track.id = next_id();
      all.push_back({track.id, box, track.score, track.kind, track.seen});
    }
    return all;
  }

  // The track of each box, -1: none. As sort.py: where each box and each track overlaps one at
  // most by more than the bound, these are the pairs; else those of the largest sum of overlaps,
  // without pairs below the bound.
  std::vector<int64_t> paired(std::span<const SeenBox> boxes,
                              const std::vector<size_t>& places) const {
    const size_t rows = places.size(), columns = tracks_.size();
    std::vector<double> costs(rows * columns);
    std::vector<int64_t> in_row(rows), in_column(columns), plain(rows, -1);
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = 0; c < columns; ++c) {
        const double by =
            overlap_of_kind(tracks_[c].filter.box(), tracks_[c].kind, boxes[places[r]]);
        costs[r * columns + c] = -by;
        if (!(by > options.least_overlap)) continue;
        ++in_row[r];
        ++in_column[c];
        plain[r] = static_cast<int64_t>(c);
      }
    const auto several = [](int64_t count) { return count > 1; };
    if (std::none_of(in_row.begin(), in_row.end(), several) &&
        std::none_of(in_column.begin(), in_column.end(), several))
      return plain;
    std::vector<int64_t> column_of =
        assigned(costs, static_cast<int64_t>(rows), static_cast<int64_t>(columns));
    for (size_t r = 0; r < rows; ++r)
      if (column_of[r] >= 0 &&
          -costs[r * columns + static_cast<size_t>(column_of[r])] < options.least_overlap)
        column_of[r] = -1;
    return column_of;
  }

  std::vector<SortTrack> tracks_;
};

}  // namespace

std::unique_ptr<Tracker::Impl> make_sort(const TrackerOptions& options) {
  return std::make_unique<Sort>(options);
}

}  // namespace graft::train
