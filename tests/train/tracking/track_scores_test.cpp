// Scores of tracking, compared with py-motmetrics and TrackEval (tests/golden/make_tracking.py) and
// with cases worked out by hand.
#include "graft/train/tracking/track_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft::train {
namespace {

using io::FrameBox;

std::vector<FrameBox> stored(const std::string& name) {
  return io::read_frame_boxes(GRAFT_TEST_DATA "/tracks/" + name).boxes;
}

// A box of ten pixels a side.
FrameBox at(int64_t frame, int64_t id, double left, double top = 0) {
  return {.frame = frame, .id = id, .box = {left, top, left + 10, top + 10}};
}

TEST(TrackScores, AreThoseOfMotmetricsAndTrackEval) {
  const auto goldens = nlohmann::json::parse(
      read_text_file(GRAFT_TEST_DATA "/tracks/goldens.json", int64_t{1} << 20));
  for (const std::string name : {"a", "b"}) {
    const auto& g = goldens[name]["scores"];
    const TrackScores s = track_scores(stored(name + "_gt.txt"), stored(name + "_tracks.txt"));
    const std::pair<const char*, double> numbers[] = {
        {"mota", s.clear.mota},        {"motp", s.clear.motp},     {"idf1", s.identity.idf1},
        {"idp", s.identity.precision}, {"idr", s.identity.recall}, {"HOTA", s.hota.hota},
        {"DetA", s.hota.det_a},        {"AssA", s.hota.ass_a},     {"LocA", s.hota.loc_a},
        {"DetRe", s.hota.det_re},      {"DetPr", s.hota.det_pr},   {"AssRe", s.hota.ass_re},
        {"AssPr", s.hota.ass_pr}};
    for (const auto& [title, value] : numbers)
      EXPECT_NEAR(value, g[title].get<double>(), 1e-9) << name << " " << title;
    for (size_t b = 0; b < s.hota.hota_at.size(); ++b)
      EXPECT_NEAR(s.hota.hota_at[b], g["HOTA_at"][b].get<double>(), 1e-9) << name << " " << b;
    const std::pair<const char*, int64_t> counts[] = {
        {"idtp", s.identity.right},
        {"idfp", s.identity.false_positives},
        {"idfn", s.identity.misses},
        {"num_matches", s.clear.matches},
        {"num_switches", s.clear.switches},
        {"num_false_positives", s.clear.false_positives},
        {"num_misses", s.clear.misses},
        {"num_fragmentations", s.clear.fragmentations},
        {"mostly_tracked", s.clear.mostly_tracked},
        {"partially_tracked", s.clear.partly_tracked},
        {"mostly_lost", s.clear.mostly_lost},
        {"num_objects", s.boxes},
        {"num_predictions", s.found_boxes}};
    for (const auto& [title, count] : counts)
      EXPECT_EQ(count, std::llround(g[title].get<double>())) << name << " " << title;
  }
}

// One object of four frames, told as two tracks of two frames each, all at its own place.
TEST(TrackScores, ASwitchByHand) {
  const std::vector<FrameBox> truth{at(0, 7, 0), at(1, 7, 1), at(2, 7, 2), at(3, 7, 3)};
  const std::vector<FrameBox> found{at(0, 1, 0), at(1, 1, 1), at(2, 2, 2), at(3, 2, 3)};
  const TrackScores s = track_scores(truth, found);
  EXPECT_EQ(s.clear.switches, 1);
  EXPECT_EQ(s.clear.matches, 3);
  EXPECT_DOUBLE_EQ(s.clear.mota, 0.75);
  EXPECT_DOUBLE_EQ(s.clear.motp, 0);
  EXPECT_EQ(s.clear.mostly_tracked, 1);
  EXPECT_DOUBLE_EQ(s.identity.idf1, 0.5);
  // Every box is found, and 2 of the 4 + 2 - 2 boxes of object and track go together.
  EXPECT_DOUBLE_EQ(s.hota.det_a, 1);
  EXPECT_DOUBLE_EQ(s.hota.ass_a, 0.5);
  EXPECT_DOUBLE_EQ(s.hota.loc_a, 1);
  EXPECT_NEAR(s.hota.hota, std::sqrt(0.5), 1e-12);
}

// Lost in the second of three frames; and a box of nothing in the third.
TEST(TrackScores, AGapAndAFalsePositiveByHand) {
  const std::vector<FrameBox> truth{at(0, 1, 0), at(1, 1, 0), at(2, 1, 0)};
  const std::vector<FrameBox> found{at(0, 5, 0), at(2, 5, 0), at(2, 6, 100)};
  const TrackScores s = track_scores(truth, found);
  EXPECT_EQ(s.clear.misses, 1);
  EXPECT_EQ(s.clear.false_positives, 1);
  EXPECT_EQ(s.clear.fragmentations, 1);
  EXPECT_EQ(s.clear.partly_tracked, 1);
  EXPECT_NEAR(s.clear.mota, 1 - 2.0 / 3, 1e-12);
  EXPECT_NEAR(s.identity.idf1, 2 * 2.0 / 6, 1e-12);
  EXPECT_NEAR(s.hota.det_a, 2.0 / 4, 1e-12);
  EXPECT_NEAR(s.hota.ass_a, 2.0 / 3, 1e-12);
}

TEST(TrackScores, NothingFoundIsAllMissed) {
  const std::vector<FrameBox> truth{at(0, 1, 0), at(1, 1, 0)};
  const TrackScores s = track_scores(truth, {});
  EXPECT_DOUBLE_EQ(s.clear.mota, 0);
  EXPECT_TRUE(std::isnan(s.clear.motp));
  EXPECT_EQ(s.clear.mostly_lost, 1);
  EXPECT_DOUBLE_EQ(s.identity.idf1, 0);
  EXPECT_DOUBLE_EQ(s.hota.hota, 0);
  EXPECT_NEAR(s.hota.loc_a, 1, 1e-12) << "as TrackEval has it";
}

TEST(TrackScores, OrderChangesNothing) {
  std::vector<FrameBox> truth = stored("a_gt.txt"), found = stored("a_tracks.txt");
  const TrackScores s = track_scores(truth, found);
  std::reverse(truth.begin(), truth.end());
  std::reverse(found.begin(), found.end());
  const TrackScores turned = track_scores(truth, found);
  EXPECT_NEAR(turned.clear.mota, s.clear.mota, 1e-12);
  EXPECT_NEAR(turned.clear.motp, s.clear.motp, 1e-12);
  EXPECT_NEAR(turned.identity.idf1, s.identity.idf1, 1e-12);
  EXPECT_NEAR(turned.hota.hota, s.hota.hota, 1e-12);
}

TEST(TrackScores, BoxesThatAreNotJudgedAreLeftOut) {
  FrameBox crowd = at(0, 2, 50);
  crowd.is_judged = false;
  const std::vector<FrameBox> truth{at(0, 1, 0), crowd}, found{at(0, 1, 0)};
  EXPECT_DOUBLE_EQ(track_scores(truth, found).clear.mota, 1);
}

TEST(TrackScores, WhatCannotBeJudgedIsRefused) {
  const auto refusal = [](const std::vector<FrameBox>& truth, const std::vector<FrameBox>& found) {
    try {
      track_scores(truth, found);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return std::string(error.what());
    }
    return std::string("taken");
  };
  EXPECT_EQ(refusal({}, {}), "the truth has no box that is judged");
  EXPECT_EQ(refusal({at(0, -1, 0)}, {}), "the truth: a box of frame 0 has no identity");
  EXPECT_EQ(refusal({at(0, 1, 0)}, {at(3, 1, 0), at(3, 1, 5)}),
            "the tracks: frame 3 (from 0) has two boxes of identity 1");
  std::vector<FrameBox> many, others;
  for (int i = 0; i < 6000; ++i) {
    many.push_back(at(i, i, 0));
    others.push_back(at(i, i + 10000, 0));
  }
  EXPECT_EQ(refusal(many, others), "6000 objects and 6000 tracks are too many to be compared");
}

}  // namespace
}  // namespace graft::train
