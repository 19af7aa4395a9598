// Objects followed through frames: what a detector's answers are to a train::Tracker.
//   Predictor detector("cells.safetensors");
//   train::Tracker tracker(tracker_options(detector, train::TrackerKind::bytetrack));
//   for each frame: for (const train::TrackedBox& own :
//                        tracker.update(seen_boxes(detector, detector.predict(frame)))) ...
#pragma once
#include <string>
#include <vector>

#include "graft/api/predictor.h"
#include "graft/train/tracking/tracker.h"

namespace graft {

// The boxes of a predictor's answer, in the image's own pixels, the surest first; those below the
// model's confidence too, which ByteTrack looks at. Error(bad_input) for a model that finds no
// objects, an answer that is none, and one whose numbers are not finite.
GRAFT_API std::vector<train::SeenBox> seen_boxes(const Predictor& predictor, const Answer& answer);
// The score from which on the model says a box, as its card has it. Error(bad_input) for a model
// that finds no objects.
GRAFT_API double box_confidence(const Predictor& predictor);
// What the tracker's authors chose, but for the scores: sure from the confidence on that the model
// was given on its validation part. ByteTrack: unsure from 0.1, at most half of the confidence, on;
// 0.1 more to begin an object, at most a quarter of what is left to 1. Error(bad_input) for a model
// that finds no objects.
GRAFT_API train::TrackerOptions tracker_options(const Predictor& predictor,
                                                train::TrackerKind kind);
// The same for another confidence, 0 to 1.
GRAFT_API train::TrackerOptions tracker_options(double confidence, train::TrackerKind kind);
// What SeenBox::kind counts: the names of the model's classes.
GRAFT_API const std::vector<std::string>& kind_names(const Predictor& predictor);

}  // namespace graft
