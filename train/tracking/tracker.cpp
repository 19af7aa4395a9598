#include "graft/train/tracking/tracker.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/train/tracking/association.h"

namespace graft::train {
namespace {

constexpr double kLeastSide = 1e-3, kMostEdge = 1e7;

void check_options(const TrackerOptions& o) {
  const auto is_share = [](double x) { return x >= 0 && x <= 1; };
  if (!is_share(o.sure) || !is_share(o.unsure) || !is_share(o.more_to_begin) ||
      !is_share(o.least_overlap))
    fail(ErrorCode::usage, "a tracker's scores and overlaps are between 0 and 1");
  if (o.most_lost < 0 || o.most_lost > 1000000 || o.hits_to_tell < 0 || o.hits_to_tell > 1000000)
    fail(ErrorCode::usage, "a tracker's frames are between 0 and 1,000,000");
}

void check_box(const SeenBox& seen, const TrackerOptions& options) {
  for (const double edge : {seen.box.left, seen.box.top, seen.box.right, seen.box.bottom})
    GRAFT_CHECK(std::abs(edge) <= kMostEdge, "a box to be tracked has an edge at ", edge);
  GRAFT_CHECK(std::isfinite(seen.score), "a box to be tracked has a score that is not finite");
  GRAFT_CHECK(options.kind == TrackerKind::sort || (seen.score >= 0 && seen.score <= 1),
              "ByteTrack needs scores between 0 and 1; a box has ", seen.score);
}

}  // namespace

TrackerKind tracker_named(const std::string& name) {
  if (name == "sort") return TrackerKind::sort;
  if (name == "bytetrack") return TrackerKind::bytetrack;
  fail(ErrorCode::usage, "there is no tracker '", printable(name), "': sort or bytetrack");
}

TrackerOptions TrackerOptions::of(TrackerKind kind) {
  if (kind == TrackerKind::bytetrack) return {};
  TrackerOptions options;
  options.kind = kind;
  options.sure = 0;
  options.least_overlap = 0.3;
  options.most_lost = 1;
  return options;
}

double overlap_of_kind(const io::Box& box, int64_t kind, const SeenBox& seen) {
  if (kind != seen.kind) return 0;
  const double by = io::overlap(box, seen.box);
  return std::isfinite(by) ? by : 0;
}

Tracker::Tracker(const TrackerOptions& options) {
  check_options(options);
  impl_ = options.kind == TrackerKind::sort ? make_sort(options) : make_bytetrack(options);
}
Tracker::Tracker(Tracker&& other) noexcept = default;
Tracker& Tracker::operator=(Tracker&& other) noexcept = default;
Tracker::~Tracker() = default;

int64_t Tracker::frames() const { return impl_->frame; }

std::vector<TrackedBox> Tracker::update(std::span<const SeenBox> boxes) {
  std::vector<SeenBox> kept;
  std::vector<int64_t> places;
  for (size_t i = 0; i < boxes.size(); ++i) {
    check_box(boxes[i], impl_->options);
    if (!(boxes[i].box.width() >= kLeastSide && boxes[i].box.height() >= kLeastSide)) continue;
    kept.push_back(boxes[i]);
    places.push_back(static_cast<int64_t>(i));
  }
  ++impl_->frame;
  std::vector<TrackedBox> told = impl_->update(kept);
  std::sort(told.begin(), told.end(),
            [](const TrackedBox& a, const TrackedBox& b) { return a.id < b.id; });
  for (TrackedBox& own : told) own.seen = places[static_cast<size_t>(own.seen)];
  return told;
}

}  // namespace graft::train
