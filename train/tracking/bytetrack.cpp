// ByteTrack: sure boxes are paired first, then unsure ones with the objects that are left.
#include <algorithm>
#include <limits>

#include "graft/train/tracking/assignment.h"
#include "graft/train/tracking/association.h"
#include "graft/train/tracking/box_filter.h"

namespace graft::train {
namespace {

// byte_tracker.py's bounds of 1 - overlap: of unsure boxes, of objects that have one box yet, and
// of two tracks that are one object.
constexpr double kUnsure = 0.5, kUnconfirmed = 0.7, kSame = 0.15;

struct ByteTrackState {
  HeightFilter filter;
  int64_t kind = 0;
  int64_t id = 0;               // 0: not told yet
  int64_t first = 0, last = 0;  // frames
  bool is_lost = false, is_confirmed = false;
  int64_t seen = -1;
  double score = 0;

  void correct(const SeenBox& box, size_t place, int64_t frame) {
    filter.correct(box.box);
    is_lost = false;
    is_confirmed = true;
    take(box, place, frame);
  }
  void take(const SeenBox& box, size_t place, int64_t frame) {
    last = frame;
    seen = static_cast<int64_t>(place);
    score = box.score;
  }
};

class ByteTrack final : public Tracker::Impl {
 public:
  using Impl::Impl;

  std::vector<TrackedBox> update(std::span<const SeenBox> boxes) override {
    std::vector<size_t> sure, unsure;  // places
    for (size_t i = 0; i < boxes.size(); ++i) {
      if (boxes[i].score > options.sure)
        sure.push_back(i);
      else if (boxes[i].score > options.unsure && boxes[i].score < options.sure)
        unsure.push_back(i);
    }
    std::vector<size_t> known, fresh;  // tracks: those with several boxes, tracked ones first
    for (const bool is_lost : {false, true})
      for (size_t t = 0; t < tracks_.size(); ++t)
        if (tracks_[t].is_confirmed && tracks_[t].is_lost == is_lost) known.push_back(t);
    for (size_t t = 0; t < tracks_.size(); ++t)
      if (!tracks_[t].is_confirmed) fresh.push_back(t);
    for (const size_t t : known) tracks_[t].filter.predict(tracks_[t].is_lost);

    pair({boxes, known, sure, 1 - options.least_overlap, true});
    std::erase_if(known, [this](size_t t) { return tracks_[t].is_lost; });
    pair({boxes, known, unsure, kUnsure, false});
    for (const size_t t : known) tracks_[t].is_lost = true;
    pair({boxes, fresh, sure, kUnconfirmed, true});
    forget(fresh);
    for (const size_t place : sure)
      if (boxes[place].score >= options.sure + options.more_to_begin) begin(boxes[place], place);
    drop_twins();
    return told();
  }

 private:
  // Tracks and boxes to be paired; those that are leave their lists.
  struct Pairing {
    std::span<const SeenBox> boxes;
    std::vector<size_t>&tracks, &places;
    double most;
    bool weighs_scores;
  };

  void pair(const Pairing& p) {
    const size_t rows = p.tracks.size(), columns = p.places.size();
    std::vector<double> costs(rows * columns);
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = 0; c < columns; ++c) {
        const SeenBox& box = p.boxes[p.places[c]];
        const ByteTrackState& track = tracks_[p.tracks[r]];
        const double by = overlap_of_kind(track.filter.box(), track.kind, box);
        // Never one object, whatever the bound.
        costs[r * columns + c] = track.kind != box.kind
                                     ? std::numeric_limits<double>::infinity()
                                     : 1 - (p.weighs_scores ? by * box.score : by);
      }
    const std::vector<int64_t> column_of =
        assigned_within(costs, static_cast<int64_t>(rows), static_cast<int64_t>(columns), p.most);
    std::vector<size_t> tracks_left, places_left;
    std::vector<bool> is_taken(columns);
    for (size_t r = 0; r < rows; ++r) {
      if (column_of[r] < 0) {
        tracks_left.push_back(p.tracks[r]);
        continue;
      }
      const auto c = static_cast<size_t>(column_of[r]);
      is_taken[c] = true;
      tracks_[p.tracks[r]].correct(p.boxes[p.places[c]], p.places[c], frame);
    }
    for (size_t c = 0; c < columns; ++c)
      if (!is_taken[c]) places_left.push_back(p.places[c]);
    p.tracks = std::move(tracks_left);
    p.places = std::move(places_left);
  }

  // Objects of one box that were not seen again, and those lost for too long.
  void forget(const std::vector<size_t>& unseen) {
    std::vector<bool> goes(tracks_.size());
    for (const size_t t : unseen) goes[t] = true;
    size_t kept = 0;
    for (size_t t = 0; t < tracks_.size(); ++t) {
      const bool is_old = tracks_[t].is_lost && frame - tracks_[t].last > options.most_lost;
      if (goes[t] || is_old) continue;
      if (kept != t) tracks_[kept] = tracks_[t];
      ++kept;
    }
    tracks_.erase(tracks_.begin() + static_cast<std::ptrdiff_t>(kept), tracks_.end());
  }

  void begin(const SeenBox& box, size_t place) {
    tracks_.push_back({.filter = HeightFilter(box.box),
                       .kind = box.kind,
                       .first = frame,
                       .is_confirmed = frame == 1});
    tracks_.back().take(box, place, frame);
  }

  // Of a lost and a tracked object at one place the younger goes.
  void drop_twins() {
    std::vector<bool> goes(tracks_.size());
    for (size_t a = 0; a < tracks_.size(); ++a) {
      if (tracks_[a].is_lost) continue;
      for (size_t b = 0; b < tracks_.size(); ++b) {
        const ByteTrackState &tracked = tracks_[a], &lost = tracks_[b];
        if (!lost.is_lost || lost.kind != tracked.kind ||
            !(1 - io::overlap(tracked.filter.box(), lost.filter.box()) < kSame))
          continue;
        goes[tracked.last - tracked.first > lost.last - lost.first ? b : a] = true;
      }
    }
    size_t kept = 0;
    for (size_t t = 0; t < tracks_.size(); ++t)
      if (!goes[t]) {
        if (kept != t) tracks_[kept] = tracks_[t];
        ++kept;
      }
    tracks_.erase(tracks_.begin() + static_cast<std::ptrdiff_t>(kept), tracks_.end());
  }

  std::vector<TrackedBox> told() {
    std::vector<TrackedBox> all;
    for (ByteTrackState& track : tracks_) {
      if (track.is_lost || !track.is_confirmed) continue;
      if (track.id == 0) track.id = next_id();
      all.push_back({track.id, track.filter.box(), track.score, track.kind, track.seen});
    }
    return all;
  }

  std::vector<ByteTrackState> tracks_;
};

}  // namespace

std::unique_ptr<Tracker::Impl> make_bytetrack(const TrackerOptions& options) {
  return std::make_unique<ByteTrack>(options);
}

}  // namespace graft::train
