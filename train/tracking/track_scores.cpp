#include "graft/train/tracking/track_scores.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "graft/core/base/error.h"
#include "graft/train/tracking/assignment.h"
#include "graft/train/tracking/scored_frames.h"

namespace graft::train {
namespace {

constexpr size_t kMostPairsOfIdentities = 25000000;

// Identities in the order of their numbers; a frame's boxes in the order given.
class Identities {
 public:
  Identities(std::span<const io::FrameBox> boxes, const char* whose) {
    for (const io::FrameBox& own : boxes) {
      GRAFT_CHECK(own.id >= 0, whose, ": a box of frame ", own.frame, " has no identity");
      places_[own.id] = 0;
      GRAFT_CHECK(seen_.insert({own.frame, own.id}).second, whose, ": frame ", own.frame,
                  " (from 0) has two boxes of identity ", own.id);
    }
    size_t place = 0;
    for (auto& [id, own] : places_) own = place++;
  }
  size_t of(const io::FrameBox& box) const { return places_.at(box.id); }
  size_t size() const { return places_.size(); }

 private:
  std::map<int64_t, size_t> places_;
  std::set<std::pair<int64_t, int64_t>> seen_;
};

std::vector<io::FrameBox> judged_boxes(std::span<const io::FrameBox> truth) {
  std::vector<io::FrameBox> judged;
  for (const io::FrameBox& own : truth)
    if (own.is_judged) judged.push_back(own);
  GRAFT_CHECK(!judged.empty(), "the truth has no box that is judged");
  return judged;
}

struct FrameContent {
  std::vector<const io::FrameBox*> truth{}, found{};
};

// How far an object was followed.
struct Followed {
  int64_t matches = 0, fragmentations = 0;
  bool is_lost = false;  // since its last pair
  int64_t track = -1;    // the last that it was paired with

  void pair(size_t with) {
    fragmentations += is_lost;  // it has been lost, and is back
    is_lost = false;
    ++matches;
    track = static_cast<int64_t>(with);
  }
  void miss() { is_lost = matches > 0; }
};

class Clear {
 public:
  Clear(const ScoredSequence& sequence, double least_overlap)
      : objects_(sequence.boxes_of_object.size()), most_(1 - least_overlap) {}

  void add(const ScoredFrame& frame) {
    std::vector<bool> object_is_taken(frame.objects.size()), track_is_taken(frame.tracks.size());
    keep(frame, object_is_taken, track_is_taken);
    pair(frame, object_is_taken, track_is_taken);
    for (size_t o = 0; o < frame.objects.size(); ++o) {
      scores_.misses += !object_is_taken[o];
      if (!object_is_taken[o]) objects_[frame.objects[o]].miss();
    }
    scores_.false_positives += std::count(track_is_taken.begin(), track_is_taken.end(), false);
  }

  ClearScores scores(const ScoredSequence& sequence) const {
    ClearScores s = scores_;
    for (size_t o = 0; o < objects_.size(); ++o) {
      const double share = static_cast<double>(objects_[o].matches) /
                           static_cast<double>(sequence.boxes_of_object[o]);
      s.fragmentations += objects_[o].fragmentations;
      ++(share >= 0.8 ? s.mostly_tracked : share >= 0.2 ? s.partly_tracked : s.mostly_lost);
    }
    const int64_t pairs = s.matches + s.switches;
    s.motp = pairs > 0 ? distances_ / static_cast<double>(pairs)
                       : std::numeric_limits<double>::quiet_NaN();
    s.mota = 1 - static_cast<double>(s.misses + s.switches + s.false_positives) /
                     static_cast<double>(sequence.boxes);
    return s;
  }

 private:
  // Pairs of earlier frames first.
  void keep(const ScoredFrame& frame, std::vector<bool>& object_is_taken,
            std::vector<bool>& track_is_taken) {
    for (size_t o = 0; o < frame.objects.size(); ++o) {
      Followed& object = objects_[frame.objects[o]];
      for (size_t t = 0; t < frame.tracks.size() && object.track >= 0; ++t) {
        if (track_is_taken[t] || static_cast<int64_t>(frame.tracks[t]) != object.track) continue;
        const double distance = 1 - frame.overlap(o, t);
        if (distance > most_) break;
        object_is_taken[o] = track_is_taken[t] = true;
        ++scores_.matches;
        distances_ += distance;
        object.pair(frame.tracks[t]);
        break;
      }
    }
  }

  void pair(const ScoredFrame& frame, std::vector<bool>& object_is_taken,
            std::vector<bool>& track_is_taken) {
    const size_t rows = frame.objects.size(), columns = frame.tracks.size();
    // A pair that may not be costs more than all that may.
    const double never = 2 * static_cast<double>(std::min(rows, columns)) * 2 + 1;
    std::vector<double> costs(rows * columns, never);
    for (size_t o = 0; o < rows; ++o)
      for (size_t t = 0; t < columns; ++t)
        if (!object_is_taken[o] && !track_is_taken[t] && 1 - frame.overlap(o, t) <= most_)
          costs[o * columns + t] = 1 - frame.overlap(o, t);
    const std::vector<int64_t> track_of =
        assigned(costs, static_cast<int64_t>(rows), static_cast<int64_t>(columns));
    for (size_t o = 0; o < rows; ++o) {
      if (track_of[o] < 0) continue;
      const auto t = static_cast<size_t>(track_of[o]);
      if (costs[o * columns + t] == never) continue;
      Followed& object = objects_[frame.objects[o]];
      const bool is_switch =
          object.track >= 0 && object.track != static_cast<int64_t>(frame.tracks[t]);
      ++(is_switch ? scores_.switches : scores_.matches);
      distances_ += costs[o * columns + t];
      object.pair(frame.tracks[t]);
      object_is_taken[o] = track_is_taken[t] = true;
    }
  }

  std::vector<Followed> objects_;
  double most_;
  ClearScores scores_{};
  double distances_ = 0;
};

}  // namespace

double ratio_of(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

ScoredSequence scored_sequence(std::span<const io::FrameBox> truth,
                               std::span<const io::FrameBox> found) {
  const Identities objects(truth, "the truth"), tracks(found, "the tracks");
  GRAFT_CHECK(tracks.size() == 0 || objects.size() <= kMostPairsOfIdentities / tracks.size(),
              objects.size(), " objects and ", tracks.size(),
              " tracks are too many to be compared");
  std::map<int64_t, FrameContent> by_frame;
  for (const io::FrameBox& own : truth) by_frame[own.frame].truth.push_back(&own);
  for (const io::FrameBox& own : found) by_frame[own.frame].found.push_back(&own);
  ScoredSequence sequence;
  sequence.boxes = std::ssize(truth);
  sequence.found_boxes = std::ssize(found);
  sequence.boxes_of_object.resize(objects.size());
  sequence.boxes_of_track.resize(tracks.size());
  for (const auto& [number, content] : by_frame) {
    ScoredFrame frame;
    for (const io::FrameBox* own : content.truth) frame.objects.push_back(objects.of(*own));
    for (const io::FrameBox* own : content.found) frame.tracks.push_back(tracks.of(*own));
    for (const size_t object : frame.objects) ++sequence.boxes_of_object[object];
    for (const size_t track : frame.tracks) ++sequence.boxes_of_track[track];
    for (const io::FrameBox* a : content.truth)
      for (const io::FrameBox* b : content.found)
        frame.overlaps.push_back(io::overlap(a->box, b->box));
    sequence.frames.push_back(std::move(frame));
  }
  return sequence;
}

ClearScores clear_scores(const ScoredSequence& sequence, double least_overlap) {
  Clear clear(sequence, least_overlap);
  for (const ScoredFrame& frame : sequence.frames) clear.add(frame);
  return clear.scores(sequence);
}

IdentityScores identity_scores(const ScoredSequence& sequence, double least_overlap) {
  const size_t rows = sequence.boxes_of_object.size(), columns = sequence.boxes_of_track.size();
  std::vector<double> costs(rows * columns);  // minus the frames in which they overlap enough
  for (const ScoredFrame& frame : sequence.frames)
    for (size_t o = 0; o < frame.objects.size(); ++o)
      for (size_t t = 0; t < frame.tracks.size(); ++t)
        if (1 - frame.overlap(o, t) <= 1 - least_overlap)
          --costs[frame.objects[o] * columns + frame.tracks[t]];
  const std::vector<int64_t> track_of =
      assigned(costs, static_cast<int64_t>(rows), static_cast<int64_t>(columns));
  IdentityScores s;
  for (size_t o = 0; o < rows; ++o)
    if (track_of[o] >= 0)
      s.right -= static_cast<int64_t>(costs[o * columns + static_cast<size_t>(track_of[o])]);
  s.misses = sequence.boxes - s.right;
  s.false_positives = sequence.found_boxes - s.right;
  s.precision = ratio_of(s.right, sequence.found_boxes);
  s.recall = ratio_of(s.right, sequence.boxes);
  s.idf1 = ratio_of(2 * s.right, sequence.boxes + sequence.found_boxes);
  return s;
}

TrackScores track_scores(std::span<const io::FrameBox> truth, std::span<const io::FrameBox> found,
                         double least_overlap) {
  GRAFT_CHECK(least_overlap > 0 && least_overlap <= 1, "the least overlap of a pair is ",
              least_overlap, ", and must be above 0 and at most 1");
  const std::vector<io::FrameBox> judged = judged_boxes(truth);
  const ScoredSequence sequence = scored_sequence(judged, found);
  TrackScores scores;
  scores.frames = std::ssize(sequence.frames);
  scores.boxes = sequence.boxes;
  scores.objects = std::ssize(sequence.boxes_of_object);
  scores.found_boxes = sequence.found_boxes;
  scores.tracks = std::ssize(sequence.boxes_of_track);
  scores.clear = clear_scores(sequence, least_overlap);
  scores.identity = identity_scores(sequence, least_overlap);
  scores.hota = hota_scores(sequence);
  return scores;
}

}  // namespace graft::train
