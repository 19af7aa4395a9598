// Boxes: overlap, suppression and average precision, beside torchvision, pycocotools and voc_eval
// (make_detection_goldens.py).
#include "graft/train/tasks/detection/average_precision.h"

#include <gtest/gtest.h>

#include "graft/io/input_geometry.h"
#include "graft/tests/train/tasks/detection_goldens.h"
#include "graft/train/tasks/detection/suppression.h"

namespace graft::train {
namespace {

namespace g = goldens;

std::vector<JudgedImage> golden_images() {
  std::vector<JudgedImage> images(g::kBoxImages);
  for (size_t i = 0; i < g::kTruthBoxes.size(); i += 7) {
    const double* row = g::kTruthBoxes.data() + i;
    images[static_cast<size_t>(row[0])].truth.push_back({.box = {row[2], row[3], row[4], row[5]},
                                                         .label = static_cast<int64_t>(row[1]),
                                                         .crowd = row[6] == 1});
  }
  for (size_t i = 0; i < g::kFoundBoxes.size(); i += 7) {
    const double* row = g::kFoundBoxes.data() + i;
    images[static_cast<size_t>(row[0])].found.push_back(
        {{row[3], row[4], row[5], row[6]}, static_cast<int64_t>(row[1]), row[2]});
  }
  return images;
}

TEST(AveragePrecision, IsPycocotools) {
  const std::vector<JudgedImage> images = golden_images();
  const PrecisionSummary s = average_precisions(images, g::kBoxClasses);
  EXPECT_NEAR(s.ap, g::kCocoAp, 1e-9);
  EXPECT_NEAR(s.ap50, g::kCocoAp50, 1e-9);
  EXPECT_NEAR(s.ap75, g::kCocoAp75, 1e-9);
  EXPECT_NEAR(s.recall100, g::kCocoRecall100, 1e-9);
  for (int64_t label = 0; label < g::kBoxClasses; ++label) {
    const auto c = static_cast<size_t>(label);
    EXPECT_NEAR(s.ap_of_class[c], g::kCocoApOfClass[c], 1e-9) << label;
    const Matches large = coco_matches(images, label, 0.5, 100, {500, 1e10});
    EXPECT_NEAR(coco_average_precision(large), g::kCocoAp50OfLarge[c], 1e-9) << label;
  }
}

TEST(AveragePrecision, IsPascalVocs) {
  const std::vector<JudgedImage> images = golden_images();
  const PrecisionSummary s = average_precisions(images, g::kBoxClasses);
  double mean = 0, mean_07 = 0;
  for (int64_t label = 0; label < g::kBoxClasses; ++label) {
    const auto c = static_cast<size_t>(label);
    EXPECT_NEAR(s.voc50_of_class[c], g::kVoc50OfClass[c], 1e-9) << label;
    EXPECT_NEAR(voc07_average_precision(voc_matches(images, label, 0.5)), g::kVoc0750OfClass[c],
                1e-9)
        << label;
    mean += g::kVoc50OfClass[c] / g::kBoxClasses;
    mean_07 += g::kVoc0750OfClass[c] / g::kBoxClasses;
  }
  EXPECT_NEAR(s.voc50, mean, 1e-9);
  EXPECT_NEAR(s.voc07_50, mean_07, 1e-9);
}

TEST(AveragePrecision, OfNothingIsNothing) {
  const std::vector<JudgedImage> empty(3);
  const PrecisionSummary none = average_precisions(empty, 2);
  EXPECT_EQ(none.ap, 0);
  EXPECT_EQ(none.voc50_of_class, (std::vector<double>{-1, -1}));
  EXPECT_DOUBLE_EQ(best_confidence(empty, 2), 0.5);
  std::vector<JudgedImage> missed(1);
  missed[0].truth.push_back({.box = {0, 0, 4, 4}});
  EXPECT_EQ(average_precisions(missed, 2).voc50, 0) << "of the class that is there";
  missed[0].truth[0].difficult = true;
  EXPECT_EQ(average_precisions(missed, 1).voc50_of_class[0], -1)
      << "a difficult one does not count";
}

TEST(AveragePrecision, ConfidenceIsOfTheBestF1) {
  std::vector<JudgedImage> images(1);
  images[0].truth = {{.box = {0, 0, 10, 10}}, {.box = {20, 0, 30, 10}}, {.box = {40, 0, 50, 10}}};
  images[0].found = {{{0, 0, 10, 10}, 0, 0.9},
                     {{20, 0, 30, 10}, 0, 0.6},
                     {{70, 0, 80, 10}, 0, 0.4},
                     {{90, 0, 99, 10}, 0, 0.3}};
  EXPECT_DOUBLE_EQ(best_confidence(images, 1), 0.6);
}

TEST(Suppression, IsTorchvisions) {
  EXPECT_EQ(suppressed(g::kNmsBoxes, g::kNmsScores, 0.45), g::kNmsKept);
  EXPECT_EQ(suppressed_by_class(g::kNmsBoxes, g::kNmsScores, g::kNmsClasses, 0.45),
            g::kNmsKeptByClass);
}

TEST(Suppression, EqualScoresKeepTheirOrder) {
  const std::vector<float> boxes{0, 0, 4, 4, 0, 0, 4, 4, 8, 8, 9, 9};
  EXPECT_EQ(suppressed(boxes, std::vector<float>{0.5f, 0.5f, 0.5f}, 0.5),
            (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(suppressed_by_class(boxes, std::vector<float>{0.1f, 0.5f, 0.7f},
                                std::vector<int64_t>{0, 1, 1}, 0.5),
            (std::vector<int64_t>{2, 1, 0}));
  EXPECT_TRUE(suppressed({}, {}, 0.5).empty());
}

TEST(Boxes, OverlapAndClip) {
  const io::Box a{0, 0, 4, 4}, b{2, 0, 6, 4};
  EXPECT_DOUBLE_EQ(io::overlap(a, b), 8.0 / 24);
  EXPECT_DOUBLE_EQ(io::overlap(a, {4, 0, 6, 4}), 0) << "they touch";
  EXPECT_DOUBLE_EQ(io::overlap({1, 1, 1, 1}, {1, 1, 1, 1}), 0);
  EXPECT_EQ(io::clipped({-2, 1, 9, 3}, 6, 2), (io::Box{0, 1, 6, 2}));
  EXPECT_EQ(io::clipped({7, 1, 9, 3}, 6, 2).area(), 0);
}

// Into the input and back, whichever way images come into it.
TEST(Boxes, FollowTheImageAndBack) {
  const io::Box box{30, 10, 90, 50};
  for (const char* fit : {"squash", "pad"})
    for (const bool mirrored : {false, true}) {
      io::Preprocess p;
      p.set_size(64, 96);
      p.set_fit(fit);
      io::InputGeometry geometry = io::input_geometry(p, {}, 160, 80, nullptr);
      geometry.mirrored = mirrored;
      const io::Box there = geometry.placed(box, 96), back = geometry.of_image(there, 96);
      EXPECT_NEAR(back.left, box.left, 1e-9) << fit;
      EXPECT_NEAR(back.bottom, box.bottom, 1e-9) << fit;
      EXPECT_GT(there.width(), 0);
      EXPECT_NEAR(there.width(), 60 * 96 / 160.0, 1e-9) << "of 160 pixels 96 are left";
      EXPECT_NEAR(there.height(), std::string(fit) == "pad" ? 24 : 32, 1e-9) << fit;
      EXPECT_NEAR(there.left, mirrored ? 42 : 18, 1e-9);
    }
}

}  // namespace
}  // namespace graft::train
