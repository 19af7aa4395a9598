// Average precision of boxes found in images: COCO's, and Pascal VOC's of 2010 and of 2007.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "graft/io/datasets/boxes.h"

namespace graft::train {

struct FoundBox {
  io::Box box{};
  int64_t label = 0;
  double score = 0;
};

// What was found in an image, and what is there.
struct JudgedImage {
  std::vector<FoundBox> found{};
  std::vector<io::LabelledBox> truth{};
};

// A box that was found, beside the truth: of a class, at one bound of the overlap.
struct Match {
  double score = 0;
  bool is_right = false;
};

// The matches of a class that count, in the order of their images, and how many objects count.
struct Matches {
  std::vector<Match> found{};
  int64_t objects = 0;
};

// Objects of other areas (in square pixels), and what is found there, count for nothing.
struct AreaRange {
  double least = 0, most = std::numeric_limits<double>::infinity();
};

// As pycocotools matches: in each image the `most` boxes of highest score, the highest first, each
// to the object, not taken yet, that it overlaps most; at least by `bound`. Difficult objects are
// ignored as COCO's crowds are, but taken once.
GRAFT_API Matches coco_matches(std::span<const JudgedImage> images, int64_t label, double bound,
                               int64_t most = 100, AreaRange areas = {});
// As Pascal VOC's devkit: over all images the highest score first, each box to the object that it
// overlaps most, taken or not. Its +1 pixel is left out: edges are numbers here.
GRAFT_API Matches voc_matches(std::span<const JudgedImage> images, int64_t label, double bound);

// The precision where the recall reaches 0, 0.01 ... 1, and 0 where it does not, as COCO's AP takes
// them; empty where no object counts.
GRAFT_API std::vector<double> precisions_at_recalls(const Matches& matches);
// Each -1 where no object counts.
GRAFT_API double coco_average_precision(const Matches& matches);   // at 101 recalls
GRAFT_API double voc_average_precision(const Matches& matches);    // the area, since 2010
GRAFT_API double voc07_average_precision(const Matches& matches);  // at 11 recalls
GRAFT_API double recall(const Matches& matches);

// Means over the classes 0 ... that have objects; 0 where none has.
struct PrecisionSummary {
  double ap = 0, ap50 = 0, ap75 = 0;  // COCO's, over bounds 0.5, 0.55 ... 0.95; at 0.5; at 0.75
  double recall100 = 0;               // COCO's AR, 100 boxes an image, over the same bounds
  double voc50 = 0, voc07_50 = 0;
  std::vector<double> voc50_of_class{}, ap_of_class{};  // -1: it has no objects
  std::vector<std::vector<double>> curve_of_class{};    // precisions_at_recalls() at 0.5
};
GRAFT_API PrecisionSummary average_precisions(std::span<const JudgedImage> images, int64_t classes);

// The score from which on boxes are said so that F1 at an overlap of 0.5 is highest over all
// classes together, of equals the highest; 0.5 where nothing right was found.
GRAFT_API double best_confidence(std::span<const JudgedImage> images, int64_t classes);

}  // namespace graft::train
