// SORT and ByteTrack: equal to the authors' programs on stored boxes
// (tests/golden/make_tracking.py), identities through crossings and gaps, and what is refused.
#include "graft/train/tracking/tracker.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/frame_boxes.h"
#include "graft/tests/support/made_sequence.h"
#include "graft/train/tracking/box_filter.h"
#include "graft/train/tracking/track_scores.h"

namespace graft::train {
namespace {

// The tracks of a file's boxes, frame by frame.
std::vector<io::FrameBox> tracked(const std::vector<io::FrameBox>& boxes, int64_t frames,
                                  const TrackerOptions& options) {
  Tracker tracker(options);
  std::vector<io::FrameBox> all;
  size_t next = 0;
  for (int64_t frame = 0; frame < frames; ++frame) {
    std::vector<SeenBox> seen;
    for (; next < boxes.size() && boxes[next].frame == frame; ++next)
      seen.push_back({boxes[next].box, boxes[next].score});
    for (const TrackedBox& own : tracker.update(seen)) {
      EXPECT_DOUBLE_EQ(own.score, seen.at(static_cast<size_t>(own.seen)).score);
      all.push_back({.frame = frame, .id = own.id, .box = own.box, .score = own.score});
    }
  }
  EXPECT_EQ(tracker.frames(), frames);
  return all;
}

void expect_authors(const std::string& name, TrackerKind kind, const nlohmann::json& golden,
                    int64_t frames) {
  const std::vector<io::FrameBox> found =
      tracked(io::read_frame_boxes(GRAFT_TEST_DATA "/tracks/" + name + "_det.txt").boxes, frames,
              TrackerOptions::of(kind));
  ASSERT_EQ(found.size(), golden.size()) << name;
  std::map<int64_t, int64_t> own_of, theirs_of;  // ids are numbered in another order
  std::vector<bool> is_taken(golden.size());
  for (const io::FrameBox& own : found) {
    size_t i = 0;
    const auto is_same = [&](const nlohmann::json& row) {
      return row[0] == own.frame + 1 && std::abs(row[2].get<double>() - own.box.left) < 1e-5 &&
             std::abs(row[3].get<double>() - own.box.top) < 1e-5 &&
             std::abs(row[4].get<double>() - own.box.right) < 1e-5 &&
             std::abs(row[5].get<double>() - own.box.bottom) < 1e-5;
    };
    while (i < golden.size() && (is_taken[i] || !is_same(golden[i]))) ++i;
    ASSERT_LT(i, golden.size()) << name << ": nothing like it in frame " << own.frame;
    is_taken[i] = true;
    const auto id = golden[i][1].get<int64_t>();
    EXPECT_EQ(own_of.emplace(id, own.id).first->second, own.id) << name;
    EXPECT_EQ(theirs_of.emplace(own.id, id).first->second, id) << name;
  }
  EXPECT_GT(own_of.size(), 5u);
  EXPECT_EQ(theirs_of.rbegin()->first, std::ssize(theirs_of)) << "ids have no gaps";
}

TEST(Tracker, IsTheAuthorsOwn) {
  const auto goldens = nlohmann::json::parse(
      read_text_file(GRAFT_TEST_DATA "/tracks/goldens.json", int64_t{1} << 20));
  for (const std::string name : {"a", "b"}) {
    const auto& g = goldens[name];
    expect_authors(name, TrackerKind::sort, g["sort"], g["frames"]);
    expect_authors(name, TrackerKind::bytetrack, g["bytetrack"], g["frames"]);
  }
}

TEST(Tracker, KeepsIdentitiesThroughACrossingAndAGap) {
  const MadeSequence made = made_sequence(3);
  const std::vector<io::FrameBox> found =
      tracked(made.seen, made.frames, TrackerOptions::of(TrackerKind::bytetrack));
  const TrackScores s = track_scores(made.truth, found);
  EXPECT_EQ(s.clear.switches, 0);
  EXPECT_EQ(s.tracks, s.objects) << "one track an object";
  EXPECT_GT(s.identity.idf1, 0.93);
  EXPECT_GT(s.hota.hota, 0.8);
  // SORT forgets an object after a frame without it.
  const TrackScores sort = track_scores(
      made.truth, tracked(made.seen, made.frames, TrackerOptions::of(TrackerKind::sort)));
  EXPECT_GT(sort.tracks, sort.objects);
  EXPECT_LT(sort.identity.idf1, s.identity.idf1);
  TrackerOptions patient = TrackerOptions::of(TrackerKind::sort);
  patient.most_lost = 10;
  patient.sure = 0.5;
  const TrackScores longer = track_scores(made.truth, tracked(made.seen, made.frames, patient));
  EXPECT_EQ(longer.clear.switches, 0);
  EXPECT_EQ(longer.tracks, longer.objects);
}

TEST(Tracker, UnsureBoxesKeepAnObjectAndBeginNone) {
  Tracker tracker;
  const SeenBox sure{{10, 10, 30, 40}, 0.9}, unsure{{10, 10, 30, 40}, 0.3};
  EXPECT_EQ(tracker.update(std::vector{sure}).size(), 1u);
  const auto kept = tracker.update(std::vector{unsure});
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].id, 1);
  Tracker other;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(other.update(std::vector{unsure}).empty());
}

TEST(Tracker, AnObjectIsForgottenAfterMostLost) {
  for (const auto kind : {TrackerKind::sort, TrackerKind::bytetrack}) {
    TrackerOptions options = TrackerOptions::of(kind);
    options.most_lost = 4;
    options.hits_to_tell = 0;
    for (const int gap : {4, 5}) {
      Tracker tracker(options);
      const std::vector<SeenBox> box{{{10, 10, 30, 40}, 0.9}};
      for (int i = 0; i < 3; ++i) EXPECT_EQ(tracker.update(box).at(0).id, 1);
      for (int i = 0; i < gap; ++i) EXPECT_TRUE(tracker.update({}).empty());
      tracker.update(box);
      EXPECT_EQ(tracker.update(box).at(0).id, gap == 4 ? 1 : 2) << gap;
    }
  }
}

TEST(Tracker, KindsAreNeverOneObject) {
  for (const auto kind : {TrackerKind::sort, TrackerKind::bytetrack}) {
    TrackerOptions options = TrackerOptions::of(kind);
    options.hits_to_tell = 0;
    Tracker tracker(options);
    EXPECT_EQ(tracker.update(std::vector<SeenBox>{{{10, 10, 30, 40}, 0.9, 0}}).at(0).id, 1);
    tracker.update(std::vector<SeenBox>{{{10, 10, 30, 40}, 0.9, 1}});
    const auto found = tracker.update(std::vector<SeenBox>{{{10, 10, 30, 40}, 0.9, 1}});
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].id, 2);
    EXPECT_EQ(found[0].kind, 1);
  }
}

TEST(Tracker, RefusesWhatItCannotMean) {
  const auto refusal = [](const TrackerOptions& options, const SeenBox& box) {
    try {
      Tracker tracker(options);
      tracker.update(std::vector{box});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("taken");
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const TrackerOptions byte, sort = TrackerOptions::of(TrackerKind::sort);
  EXPECT_EQ(refusal(byte, {{0, 0, nan, 5}, 0.5}), "a box to be tracked has an edge at nan");
  EXPECT_EQ(refusal(sort, {{0, 0, 1e9, 5}, 0.5}), "a box to be tracked has an edge at 1e+09");
  EXPECT_EQ(refusal(byte, {{0, 0, 5, 5}, 45}),
            "ByteTrack needs scores between 0 and 1; a box has 45");
  EXPECT_EQ(refusal(sort, {{0, 0, 5, 5}, 45}), "taken");
  TrackerOptions odd;
  odd.sure = 2;
  EXPECT_EQ(refusal(odd, {}), "a tracker's scores and overlaps are between 0 and 1");
  Tracker tracker;
  EXPECT_TRUE(tracker.update(std::vector<SeenBox>{{{5, 5, 5, 9}, 0.9}}).empty())
      << "of no width: passed over";
  EXPECT_THROW(tracker_named("deepsort"), Error);
  EXPECT_EQ(tracker_named("sort"), TrackerKind::sort);
}

// One number measured twice: (P + R)^-1 by hand. The first state 10 and 10000, a frame adds 1.
TEST(BoxFilter, IsKalmansByHand) {
  AreaFilter filter({0, 0, 10, 10});
  filter.predict();
  filter.correct({2, 0, 12, 10});
  const double before = 10 + 10000 + 1;
  EXPECT_NEAR(filter.box().left, 2 * before / (before + 1), 1e-9);
  // The velocity is now 2 * 10000 / (before + 1): the next place.
  filter.predict();
  EXPECT_NEAR(filter.box().left, 2 * before / (before + 1) + 2 * 10000 / (before + 1), 1e-9);
}

}  // namespace
}  // namespace graft::train
