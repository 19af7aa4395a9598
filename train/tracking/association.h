// What both trackers share: their interface, and overlaps of objects with boxes.
#pragma once
#include <memory>
#include <vector>

#include "graft/train/tracking/tracker.h"

namespace graft::train {

struct Tracker::Impl {
  explicit Impl(const TrackerOptions& given) : options(given) {}
  virtual ~Impl() = default;
  // Boxes that were checked, without those that are passed over; `seen` are their places.
  virtual std::vector<TrackedBox> update(std::span<const SeenBox> boxes) = 0;
  // The next number for an object that is told first.
  int64_t next_id() { return ++ids_; }

  const TrackerOptions options;
  int64_t frame = 0;

 private:
  int64_t ids_ = 0;
};

std::unique_ptr<Tracker::Impl> make_sort(const TrackerOptions& options);
std::unique_ptr<Tracker::Impl> make_bytetrack(const TrackerOptions& options);

// Intersection over union; 0 of boxes of different kinds, and where one is not finite.
double overlap_of_kind(const io::Box& box, int64_t kind, const SeenBox& seen);

}  // namespace graft::train
