// HOTA: how well objects are found and how well their identities are kept, in equal parts.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "graft/train/tracking/assignment.h"
#include "graft/train/tracking/scored_frames.h"

namespace graft::train {
namespace {

using IdentityPair = std::pair<size_t, size_t>;  // object, track
constexpr double kRounding = std::numeric_limits<double>::epsilon();

// How well an object and a track go together over the whole sequence, before any pairing.
std::map<IdentityPair, double> alignments(const ScoredSequence& sequence) {
  std::map<IdentityPair, double> aligned;
  for (const ScoredFrame& frame : sequence.frames) {
    const size_t rows = frame.objects.size(), columns = frame.tracks.size();
    std::vector<double> of_object(rows), of_track(columns);
    for (size_t o = 0; o < rows; ++o)
      for (size_t t = 0; t < columns; ++t) {
        of_object[o] += frame.overlap(o, t);
        of_track[t] += frame.overlap(o, t);
      }
    for (size_t o = 0; o < rows; ++o)
      for (size_t t = 0; t < columns; ++t) {
        const double all = of_track[t] + of_object[o] - frame.overlap(o, t);
        if (frame.overlap(o, t) > 0 && all > kRounding)
          aligned[{frame.objects[o], frame.tracks[t]}] += frame.overlap(o, t) / all;
      }
  }
  for (auto& [pair, value] : aligned)
    value /= static_cast<double>(sequence.boxes_of_object[pair.first] +
                                 sequence.boxes_of_track[pair.second]) -
             value;
  return aligned;
}

// At one bound of the overlap.
struct AtBound {
  int64_t matches = 0;
  double overlaps = 0;
  std::map<IdentityPair, int64_t> matches_of{};
};

// The pairs of a frame, each once, for all bounds.
void add_frame(const ScoredFrame& frame, const std::map<IdentityPair, double>& aligned,
               std::array<AtBound, kHotaBounds>& bounds) {
  const size_t rows = frame.objects.size(), columns = frame.tracks.size();
  std::vector<double> costs(rows * columns);
  for (size_t o = 0; o < rows; ++o)
    for (size_t t = 0; t < columns; ++t) {
      const auto own = aligned.find({frame.objects[o], frame.tracks[t]});
      if (own != aligned.end()) costs[o * columns + t] = -own->second * frame.overlap(o, t);
    }
  const std::vector<int64_t> track_of =
      assigned(costs, static_cast<int64_t>(rows), static_cast<int64_t>(columns));
  for (size_t o = 0; o < rows; ++o) {
    if (track_of[o] < 0) continue;
    const auto t = static_cast<size_t>(track_of[o]);
    for (int b = 0; b < kHotaBounds; ++b) {
      // numpy.arange(0.05, 0.99, 0.05), to the last bit.
      if (!(frame.overlap(o, t) >= 0.05 + b * 0.05 - kRounding)) continue;
      AtBound& at = bounds[static_cast<size_t>(b)];
      ++at.matches;
      at.overlaps += frame.overlap(o, t);
      ++at.matches_of[{frame.objects[o], frame.tracks[t]}];
    }
  }
}

void add_bound(const AtBound& at, const ScoredSequence& sequence, HotaScores& s, double& hota) {
  const auto share = [](double part, double whole) { return part / std::max(1.0, whole); };
  double ass_a = 0, ass_re = 0, ass_pr = 0;
  for (const auto& [pair, count] : at.matches_of) {
    const auto own = static_cast<double>(count);
    const auto of_object = static_cast<double>(sequence.boxes_of_object[pair.first]),
               of_track = static_cast<double>(sequence.boxes_of_track[pair.second]);
    ass_a += own * share(own, of_object + of_track - own);
    ass_re += own * share(own, of_object);
    ass_pr += own * share(own, of_track);
  }
  const auto matches = static_cast<double>(at.matches), boxes = static_cast<double>(sequence.boxes),
             found = static_cast<double>(sequence.found_boxes);
  ass_a = share(ass_a, matches);
  const double det_a = share(matches, boxes + found - matches);
  hota = std::sqrt(det_a * ass_a);
  s.det_a += det_a / kHotaBounds;
  s.ass_a += ass_a / kHotaBounds;
  s.hota += hota / kHotaBounds;
  s.loc_a += std::max(1e-10, at.overlaps) / std::max(1e-10, matches) / kHotaBounds;
  s.det_re += share(matches, boxes) / kHotaBounds;
  s.det_pr += share(matches, found) / kHotaBounds;
  s.ass_re += share(ass_re, matches) / kHotaBounds;
  s.ass_pr += share(ass_pr, matches) / kHotaBounds;
}

}  // namespace

HotaScores hota_scores(const ScoredSequence& sequence) {
  const std::map<IdentityPair, double> aligned = alignments(sequence);
  std::array<AtBound, kHotaBounds> bounds;
  for (const ScoredFrame& frame : sequence.frames) add_frame(frame, aligned, bounds);
  HotaScores s;
  for (size_t b = 0; b < bounds.size(); ++b) add_bound(bounds[b], sequence, s, s.hota_at[b]);
  return s;
}

}  // namespace graft::train
